import { Home } from "../../local/home.ts";
import { parseDuration } from "../../shared/contract/duration.ts";
import { openSessions } from "../../shared/engine/sessions/open-sessions.ts";
import { type VacuumReport, type VacuumRequest, vacuum } from "../../shared/engine/vacuum.ts";
import { loadDefinition } from "../definitions.ts";
import { formatError } from "../render/error.ts";
import { printJson, printLine, tellLine } from "../render/terminal.ts";
import { formatBytes } from "../render/text.ts";
import type { StackTarget } from "../targets/deployed.ts";
import { openStack, type TargetFlags } from "../targets/open.ts";
import { findPipelines } from "../targets/target.ts";

interface VacuumFlags extends TargetFlags {
  readonly olderThan: string;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

/** `millrace vacuum`: cleans up one pipeline, or all pipelines of a home or stack. */
export async function vacuumCommand(pipeline: string | undefined, flags: VacuumFlags): Promise<void> {
  const request = { olderThan: parseDuration(flags.olderThan), dryRun: flags.dryRun ?? false };
  // The package is loaded first, so that a missing one is reported before any request to AWS.
  if (flags.stack !== undefined) await (await import("../deployed/functions.ts")).loadLambda();
  const stack = await openStack(flags);
  if (stack === undefined) await vacuumHome(pipeline, request, flags);
  else await vacuumStack(stack, pipeline, request, flags);
}

async function vacuumHome(
  pipeline: string | undefined,
  request: VacuumRequest,
  flags: VacuumFlags,
): Promise<void> {
  const home = new Home(flags.home);
  const ledger = await home.openLedger({ create: false });
  try {
    const pipelines = pipeline === undefined ? await ledger.pipelines() : [pipeline];
    await forEach(pipelines, async (nameOrFile) => {
      const definition = (await loadDefinition(home, nameOrFile)).pipeline;
      const ports = home.ports(definition.name, ledger);
      const sessions = await openSessions(definition, ports);
      print(definition.name, await vacuum(sessions, ports, request), flags);
    });
  } finally {
    ledger.close();
  }
}

async function vacuumStack(
  stack: StackTarget,
  pipeline: string | undefined,
  request: VacuumRequest,
  flags: VacuumFlags,
): Promise<void> {
  const { vacuumDeployed } = await import("../deployed/vacuum.ts");
  await forEach(await findPipelines(stack, pipeline), async ({ name }) => {
    print(name, await vacuumDeployed(name, stack.deployed(name).vacuumFunction, request), flags);
  });
}

/** Processes all items, even if some fail, and then throws the first error. */
async function forEach<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const failures: unknown[] = [];
  for (const item of items) {
    try {
      await work(item);
    } catch (error) {
      failures.push(error);
    }
  }
  for (const failure of failures.slice(1)) tellLine(formatError(failure));
  if (failures.length > 0) throw failures[0];
}

function print(name: string, report: VacuumReport, flags: VacuumFlags): void {
  if (flags.json) {
    printJson({ pipeline: name, dryRun: flags.dryRun ?? false, ...report });
    return;
  }
  const verb = flags.dryRun ? "would remove" : "removed";
  const { staged, planned, more } = report;
  printLine(
    `${name}: ${verb} ${staged.files} staged files (${formatBytes(staged.bytes)}) that no commit names, ${planned.files} plans and messages of closed batches`,
  );
  if (more) printLine(`${name}: its time was over, and more is left: run \`millrace vacuum ${name}\` again`);
}
