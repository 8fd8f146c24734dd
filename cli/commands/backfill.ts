import { resolve } from "node:path";
import { Home, runtime } from "../../local/home.ts";
import { MillraceError } from "../../shared/contract/errors.ts";
import { optional } from "../../shared/contract/optional.ts";
import type { ClaimedBackfill } from "../../shared/engine/backfill/claim.ts";
import { backfillIn, loadDefinition } from "../definitions.ts";
import { withOperator } from "../operations.ts";
import { type ActionFlags, actionOf } from "../person.ts";
import { tellLine } from "../render/terminal.ts";
import { openStack, type TargetFlags } from "../targets/open.ts";
import { findPipeline } from "../targets/target.ts";
import { type LocalRunFlags, runLocally } from "./run.ts";

interface BackfillFlags extends LocalRunFlags, TargetFlags, ActionFlags {
  readonly from: string;
  readonly to: string;
  readonly chunk?: string;
  readonly again?: boolean;
  readonly overLive?: boolean;
}

/**
 * `millrace backfill`: reads a range of a pipeline's source into its sink, as a pipeline of its
 * own. The same command again goes on. Returns the exit code.
 */
export async function backfillCommand(nameOrFile: string, flags: BackfillFlags): Promise<number> {
  const claimed = await claim(nameOrFile, flags);
  const { name } = claimed;
  if (flags.json !== true) tellLine(describe(claimed));
  const stack = await openStack(flags);
  if (stack === undefined) {
    const home = new Home(flags.home);
    const load = async () => {
      const { pipeline, entry } = await loadDefinition(home, nameOrFile);
      // The claim has made the pipeline known, also if it has never run.
      if (home.entryOf(pipeline.name) === undefined) await home.rememberEntry(pipeline.name, resolve(entry));
      return { pipeline: await backfillIn(home, pipeline, name), entry };
    };
    return await runLocally(load, { availableNow: true }, flags);
  }
  const { runDeployed } = await import("../deployed/run.ts");
  return await runDeployed(stack, await findPipeline(stack, name), { reason: "backfill" }, flags);
}

/** Takes the range, where the pipeline's code is. Throws what refuses it. */
async function claim(nameOrFile: string, flags: BackfillFlags): Promise<ClaimedBackfill> {
  const report = await withOperator(nameOrFile, flags, async (operator) =>
    operator.run<"backfill">({
      operation: "backfill",
      from: flags.from,
      to: flags.to,
      ...optional("chunk", flags.chunk),
      again: flags.again === true,
      overLive: flags.overLive === true,
      action: actionOf(flags),
      owner: { id: runtime.newId(), description: "millrace backfill" },
    }),
  );
  if ("refused" in report) throw MillraceError.from(report.refused);
  return report;
}

function describe({ name, from, to, chunk, resumed }: ClaimedBackfill): string {
  const verb = resumed ? "goes on with" : "reads";
  return `${name} ${verb} ${from} to ${to}, ${chunk} a batch; see \`millrace status ${name}\``;
}
