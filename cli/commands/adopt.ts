import { MillraceError } from "../../shared/contract/errors.ts";
import type { Offset } from "../../shared/contract/offset.ts";
import type { AdoptReport } from "../../shared/engine/adopt.ts";
import { withOperator } from "../operations.ts";
import { type ActionFlags, actionOf, type ConsentFlags, withConsent, withIsoTime } from "../person.ts";
import { formatFields, formatOffset } from "../render/text.ts";
import type { TargetFlags } from "../targets/open.ts";

interface AdoptFlags extends TargetFlags, ActionFlags, ConsentFlags {
  readonly fromStart?: boolean;
  readonly toOffset?: Offset;
  readonly unchecked?: boolean;
  readonly json?: boolean;
}

/**
 * `millrace adopt`: goes on after the newest batch in the sink, in a new life of the pipeline.
 * Returns the exit code.
 */
export async function adoptCommand(nameOrFile: string, flags: AdoptFlags): Promise<number> {
  const { fromStart, toOffset, unchecked: isUnchecked } = flags;
  if (fromStart === true && toOffset !== undefined) {
    throw new MillraceError("USAGE", "adopt takes one of --from-start and --to-offset", {
      hint: "Without either it goes on after the newest batch in the sink.",
    });
  }
  return await withOperator(nameOrFile, flags, async (operator) => {
    const choice = { fromStart, toOffset, isUnchecked };
    const shown = await operator.run<"adopt">({ operation: "adopt", ...choice });
    const action = actionOf(flags);
    return await withConsent(
      {
        shown: `${operator.name}: adopt\n${describe(shown, flags)}`,
        question: "Go on there?",
        done: `${operator.name}: adopted; the next run begins with batch ${shown.nextBatchId} at ${place(shown.to)}`,
        result: { pipeline: operator.name, action: "adopt", ...withIsoTime(action), ...shown },
        apply: () =>
          operator.asOwner(`millrace adopt by ${action.by}`, async (owner) => {
            await operator.run<"adopt">({ operation: "adopt", ...choice, perform: { action, owner, shown } });
          }),
      },
      flags,
    );
  });
}

function describe(
  { newest, from, to, openBatchId }: AdoptReport,
  { fromStart, toOffset }: AdoptFlags,
): string {
  const inSink =
    newest === null
      ? "no batch that it can name"
      : `batch ${newest.batchId}, incarnation ${newest.incarnation.slice(0, 8)}, up to ${place(newest.end ?? null)}`;
  return formatFields([
    ["in the sink", inSink],
    ["offset", `${from === null ? "none" : formatOffset(from)} → ${place(to)}`],
    ...(openBatchId === null ? [] : ([["given up", `batch ${openBatchId}, which is open`]] as const)),
    [
      "danger",
      fromStart === true
        ? "what the sink has is written a second time"
        : toOffset !== undefined
          ? "what the sink has after this offset is written a second time; what it lacks before it is never read"
          : "if another home runs this pipeline as well, its runs are refused from now on",
    ],
  ]);
}

function place(offset: Offset | null): string {
  return offset === null ? "the start of the source" : formatOffset(offset);
}
