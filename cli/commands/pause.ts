import { type ActionFlags, actionOf, withIsoTime } from "../person.ts";
import { printJson, printLine } from "../render/terminal.ts";
import { describeAction } from "../render/text.ts";
import { type TargetFlags, withTarget } from "../targets/open.ts";
import { findPipeline, requireHead } from "../targets/target.ts";

interface PauseFlags extends TargetFlags, ActionFlags {
  readonly json?: boolean;
}

/** `millrace pause`: runs plan no more batches. */
export async function pauseCommand(name: string, flags: PauseFlags): Promise<void> {
  await withTarget(flags, async (target) => {
    const { ledger } = await findPipeline(target, name);
    const action = actionOf(flags);
    await ledger.pause(name, action);
    const open = (await ledger.head(name))?.openBatchId;
    const rest =
      open === undefined ? "" : `; batch ${open} is open: a run that is at work on it still ends it`;
    if (flags.json) printJson({ pipeline: name, action: "pause", ...withIsoTime(action) });
    else printLine(`${name}: paused ${describeAction(action)}${rest}`);
  });
}

/** `millrace resume`: ends a pause, so that runs plan batches again. */
export async function resumeCommand(name: string, flags: PauseFlags): Promise<void> {
  await withTarget(flags, async (target) => {
    const found = await findPipeline(target, name);
    const { paused } = await requireHead(found);
    const action = actionOf(flags);
    const wasPaused = paused !== undefined;
    if (wasPaused) await found.ledger.resume(name, action);
    if (flags.json) printJson({ pipeline: name, action: "resume", ...withIsoTime(action), wasPaused });
    else
      printLine(
        `${name}: ${wasPaused ? `resumed; it was paused ${describeAction(paused)}` : "is not paused"}`,
      );
  });
}
