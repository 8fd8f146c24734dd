import { fenceOf } from "../../shared/engine/acquire.ts";
import { EXIT } from "../exit-codes.ts";
import { type ActionFlags, actionOf, type ConsentFlags, withConsent, withIsoTime } from "../person.ts";
import { printJson, printLine } from "../render/terminal.ts";
import { formatFields, formatTime } from "../render/text.ts";
import { type TargetFlags, withTarget } from "../targets/open.ts";
import { findPipeline, liveLease, requireHead } from "../targets/target.ts";

interface UnlockFlags extends TargetFlags, ActionFlags, ConsentFlags {
  readonly json?: boolean;
}

const DANGER =
  "if it is at work all the same, it loses the pipeline: it can commit nothing more, and the next run does its work again beside it";

/**
 * `millrace unlock`: removes the lease of a run that is dead but cannot be proven dead. Returns the
 * exit code.
 */
export async function unlockCommand(name: string, flags: UnlockFlags): Promise<number> {
  return await withTarget(flags, async (target) => {
    const found = await findPipeline(target, name);
    const head = await requireHead(found);
    const action = actionOf(flags);
    const result = { pipeline: name, action: "unlock", ...withIsoTime(action), holder: head.lease ?? null };
    if (head.lease === undefined) {
      if (flags.json) printJson(result);
      else printLine(`${name}: nobody holds it`);
      return EXIT.ok;
    }
    const isLive = (await liveLease(target, head)) !== undefined;
    const { owner, expiresAt } = head.lease;
    const shown = formatFields([
      ["holder", owner.description],
      ["lease", isLive ? `until ${formatTime(expiresAt)}` : "over: the next run takes it by itself"],
      ["danger", isLive ? DANGER : "none"],
    ]);
    return await withConsent(
      {
        shown: `${name}: unlock\n${shown}`,
        question: "Is that run certainly dead?",
        done: `${name}: unlocked`,
        result,
        apply: () => found.ledger.unlock(fenceOf(head), action),
      },
      flags,
    );
  });
}
