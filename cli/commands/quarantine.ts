import { Home } from "../../local/home.ts";
import { MillraceError } from "../../shared/contract/errors.ts";
import { type QuarantinedRow, readQuarantine } from "../../shared/engine/bad-rows/quarantine.ts";
import { loadDefinition } from "../definitions.ts";
import { EXIT } from "../exit-codes.ts";
import { drained, printable, printJson, printLine } from "../render/terminal.ts";
import { formatCount } from "../render/text.ts";
import { openStack, type TargetFlags, withTarget } from "../targets/open.ts";
import { findPipeline, requireHead, type TargetPipeline } from "../targets/target.ts";
import { type LocalRunFlags, runLocally } from "./run.ts";

/** Rows that a person is shown by default. A program gets all. */
const LIMIT = 20;

interface QuarantineFlags extends TargetFlags, LocalRunFlags {
  readonly limit?: number;
  readonly retry?: boolean;
}

/**
 * `millrace quarantine`: shows the rows that could not be written, or sends them again. Returns the
 * exit code.
 */
export async function quarantineCommand(name: string, flags: QuarantineFlags): Promise<number> {
  if (flags.retry === true) return await retryQuarantine(name, flags);
  return await withTarget(flags, async (target) => {
    const found = await findPipeline(target, name);
    const { quarantinedRows = 0 } = await requireHead(found);
    const store = target.storeOf(found.name);
    if (store === undefined) throw storeUnknown(found.name);
    const { json, limit = json ? Number.POSITIVE_INFINITY : LIMIT } = flags;
    const rows = readQuarantine(found.ledger, store, found.name);
    await printFirst(rows, limit, json ? printJson : printRow);
    if (!json) printLine(summary(found.name, quarantinedRows, limit));
    return EXIT.ok;
  });
}

/** Prints the first rows, not faster than they are taken. */
async function printFirst(
  rows: AsyncIterable<QuarantinedRow>,
  limit: number,
  print: (row: QuarantinedRow) => boolean,
): Promise<void> {
  let shown = 0;
  for await (const row of rows) {
    if (shown++ === limit) return;
    if (!print(row)) await drained();
  }
}

function printRow(row: QuarantinedRow): boolean {
  return printLine(describe(row));
}

async function retryQuarantine(name: string, flags: QuarantineFlags): Promise<number> {
  const stack = await openStack(flags);
  if (stack !== undefined) {
    const found = await findPipeline(stack, name);
    if (await isEmpty(found)) return EXIT.ok;
    const { runDeployed } = await import("../deployed/run.ts");
    const input = { trigger: "once", reason: "quarantine --retry", retryQuarantine: true } as const;
    return await runDeployed(stack, found, input, flags);
  }
  const home = new Home(flags.home);
  const { pipeline } = await loadDefinition(home, name);
  const none = await withTarget(
    flags,
    async (target) => await isEmpty(await findPipeline(target, pipeline.name)),
  );
  if (none) return EXIT.ok;
  return await runLocally(
    () => loadDefinition(home, name),
    { once: true },
    { ...flags, retriesQuarantine: true },
  );
}

async function isEmpty(found: TargetPipeline): Promise<boolean> {
  const { quarantinedRows = 0 } = await requireHead(found);
  if (quarantinedRows > 0) return false;
  printLine(`${found.name}: no row is in quarantine`);
  return true;
}

function storeUnknown(pipeline: string): MillraceError {
  return new MillraceError("USAGE", "a table alone does not tell where the quarantined rows are", {
    where: { pipeline },
    hint: "Name the CloudFormation stack that deploys the pipeline: --stack NAME.",
  });
}

function describe({ batchId, reason, row, raw }: QuarantinedRow): string {
  const { partition, row: number, path, url } = reason.where;
  const places = [
    `batch ${batchId}`,
    partition === undefined ? undefined : `partition ${partition}`,
    number === undefined ? undefined : `row ${number}`,
    path,
    url,
  ].filter((place) => place !== undefined);
  const content =
    raw === undefined ? JSON.stringify(row) : typeof raw === "string" ? raw : JSON.stringify(raw);
  return `${printable(places.join(", "))}\n  ${reason.code}: ${printable(reason.message)}\n  ${printable(content)}`;
}

function summary(name: string, rows: number, limit: number): string {
  if (rows === 0) return `${name}: no row is in quarantine`;
  const count = rows === 1 ? "1 row is" : `${formatCount(rows)} rows are`;
  const more = rows > limit ? `; all of them: \`--limit ${rows}\`` : "";
  return `${name}: ${count} in quarantine${more}. After a fix: \`millrace quarantine ${name} --retry\``;
}
