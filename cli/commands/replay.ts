import { Home } from "../../local/home.ts";
import { MillraceError } from "../../shared/contract/errors.ts";
import { loadDefinition } from "../definitions.ts";
import { openStack, type TargetFlags, withTarget } from "../targets/open.ts";
import { findPipeline, requireHead, type TargetPipeline } from "../targets/target.ts";
import { type LocalRunFlags, runLocally } from "./run.ts";

/**
 * `millrace replay`: runs the open batch again with its recorded offsets and partitions. Returns
 * the exit code.
 */
export async function replayCommand(name: string, flags: LocalRunFlags & TargetFlags): Promise<number> {
  const stack = await openStack(flags);
  if (stack !== undefined) {
    const found = await findPipeline(stack, name);
    await requireOpenBatch(found);
    const { runDeployed } = await import("../deployed/run.ts");
    return await runDeployed(stack, found, { trigger: "once", reason: "replay" }, flags);
  }
  await withTarget(flags, async (target) => requireOpenBatch(await findPipeline(target, name)));
  return await runLocally(() => loadDefinition(new Home(flags.home), name), { once: true }, flags);
}

async function requireOpenBatch(found: TargetPipeline): Promise<void> {
  const { openBatchId } = await requireHead(found);
  if (openBatchId !== undefined) return;
  throw new MillraceError(
    "BATCH_NOT_OPEN",
    `pipeline "${found.name}" has no open batch that could be replayed`,
    {
      where: { pipeline: found.name },
      hint: "To read rows again that were committed: `millrace rewind`. To read on: `millrace run`.",
    },
  );
}
