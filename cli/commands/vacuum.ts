import { Home } from "../../local/home.ts";
import { loadPipeline } from "../../local/load-pipeline.ts";
import { parseDuration } from "../../shared/contract/duration.ts";
import { MillraceError } from "../../shared/contract/errors.ts";
import type { Pipeline } from "../../shared/contract/pipeline.ts";
import { OpenPipeline } from "../../shared/engine/open-pipeline.ts";
import { type VacuumReport, vacuum } from "../../shared/engine/vacuum.ts";
import type { SqliteLedger } from "../../shared/ledger/sqlite.ts";
import { formatError } from "../render/error.ts";
import { formatBytes } from "../render/text.ts";

interface VacuumFlags {
  readonly home: string;
  readonly olderThan: string;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

/** `millrace vacuum`: for one pipeline, by its name or its file, or for all that have run here. One that fails does not keep the others. */
export async function vacuumCommand(pipeline: string | undefined, flags: VacuumFlags): Promise<void> {
  const request = { olderThan: parseDuration(flags.olderThan), dryRun: flags.dryRun ?? false };
  const home = new Home(flags.home);
  const ledger = await home.openLedger({ create: false });
  const failures: unknown[] = [];
  try {
    for (const target of await targets(ledger, pipeline)) {
      try {
        const definition = await load(home, target);
        const ports = home.ports(definition.name, ledger);
        const open = await OpenPipeline.open(definition, ports);
        print(definition.name, await vacuum(open, ports, request), flags);
      } catch (error) {
        failures.push(error);
      }
    }
  } finally {
    ledger.close();
  }
  for (const failure of failures.slice(1)) process.stderr.write(`${formatError(failure, process.stderr)}\n`);
  if (failures.length > 0) throw failures[0];
}

/** A file, or names of pipelines. */
async function targets(ledger: SqliteLedger, pipeline: string | undefined): Promise<readonly string[]> {
  return pipeline === undefined ? await ledger.pipelines() : [pipeline];
}

async function load(home: Home, target: string): Promise<Pipeline> {
  if (/\.[cm]?[jt]s$/.test(target)) return await loadPipeline(target);
  const entry = home.entryOf(target);
  if (entry === undefined) {
    throw new MillraceError("PIPELINE_NOT_FOUND", `no pipeline "${target}" has run in ${home.root}`, {
      hint: "Check the name and --home, or name the pipeline's file.",
    });
  }
  const definition = await loadPipeline(entry);
  if (definition.name === target) return definition;
  throw new MillraceError(
    "PIPELINE_NOT_FOUND",
    `${entry}, which defined "${target}", now defines "${definition.name}"`,
    {
      where: { pipeline: target, path: entry },
      hint: "Name the file that defines it now.",
    },
  );
}

function print(pipeline: string, report: VacuumReport, flags: VacuumFlags): void {
  if (flags.json) {
    process.stdout.write(`${JSON.stringify({ pipeline, dryRun: flags.dryRun ?? false, ...report })}\n`);
    return;
  }
  const verb = flags.dryRun ? "would remove" : "removed";
  const { staged, planned } = report;
  process.stdout.write(
    `${pipeline}: ${verb} ${staged.files} staged files (${formatBytes(staged.bytes)}) that no commit names, ${planned.files} plans and messages of closed batches\n`,
  );
}
