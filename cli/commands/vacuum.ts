import { Home } from "../../local/home.ts";
import { loadPipeline } from "../../local/load-pipeline.ts";
import { parseDuration } from "../../shared/contract/duration.ts";
import { MillraceError } from "../../shared/contract/errors.ts";
import { OpenPipeline } from "../../shared/engine/open-pipeline.ts";
import { type VacuumReport, vacuum } from "../../shared/engine/vacuum.ts";
import type { SqliteLedger } from "../../shared/ledger/sqlite.ts";
import { formatBytes } from "../render/text.ts";

interface VacuumFlags {
  readonly home: string;
  readonly olderThan: string;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

/** `millrace vacuum`: for one pipeline, by its name or its file, or for all that have run here. */
export async function vacuumCommand(pipeline: string | undefined, flags: VacuumFlags): Promise<void> {
  const request = { olderThan: parseDuration(flags.olderThan), dryRun: flags.dryRun ?? false };
  const home = new Home(flags.home);
  const ledger = home.openLedger({ create: false });
  try {
    for (const entry of await entries(home, ledger, pipeline)) {
      const definition = await loadPipeline(entry);
      const ports = home.ports(definition.name, ledger);
      const open = await OpenPipeline.open(definition, ports);
      print(definition.name, await vacuum(open, ports, request), flags);
    }
  } finally {
    ledger.close();
  }
}

async function entries(
  home: Home,
  ledger: SqliteLedger,
  pipeline: string | undefined,
): Promise<readonly string[]> {
  if (pipeline !== undefined && /\.[cm]?[jt]s$/.test(pipeline)) return [pipeline];
  const names = pipeline === undefined ? await ledger.pipelines() : [pipeline];
  return names.map((name) => {
    const entry = home.entryOf(name);
    if (entry !== undefined) return entry;
    throw new MillraceError("PIPELINE_NOT_FOUND", `no pipeline "${name}" has run in ${home.root}`, {
      hint: "Check the name and --home, or name the pipeline's file.",
    });
  });
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
