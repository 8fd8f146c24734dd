import { optional } from "../../shared/contract/optional.ts";
import type { SkipReport } from "../../shared/engine/skip.ts";
import { withOperator } from "../operations.ts";
import { type ActionFlags, actionOf, type ConsentFlags, withConsent, withIsoTime } from "../person.ts";
import { printLine } from "../render/terminal.ts";
import { formatFields, formatOffset } from "../render/text.ts";
import type { TargetFlags } from "../targets/open.ts";

interface SkipFlags extends TargetFlags, ActionFlags, ConsentFlags {
  readonly batch?: number;
  readonly discard?: boolean;
  readonly json?: boolean;
}

/**
 * `millrace skip`: ends the open batch, without its rows unless they have landed. Returns the exit
 * code.
 */
export async function skipCommand(nameOrFile: string, flags: SkipFlags): Promise<number> {
  const choice = { batchId: flags.batch, discard: flags.discard };
  return await withOperator(nameOrFile, flags, async (operator) => {
    const { name } = operator;
    const shown = await operator.run<"skip">({ operation: "skip", ...choice });
    const action = actionOf(flags);
    let aside: Pick<SkipReport, "aside"> = {};
    const planned = { pipeline: name, action: "skip", ...withIsoTime(action), ...shown };
    return await withConsent(
      {
        shown: `${name}: skip\n${describe(shown)}`,
        question: shown.hasLanded ? "Finish the batch?" : "Leave its rows out?",
        done: `${name}: ${shown.hasLanded ? `batch ${shown.batchId} is committed` : `batch ${shown.batchId} is skipped`}; the next run begins at ${formatOffset(shown.end)}`,
        // Where the rows are kept is only known afterwards.
        get result() {
          return { ...planned, ...aside };
        },
        async apply() {
          const report = await operator.asOwner(`millrace skip by ${action.by}`, (owner) =>
            operator.run<"skip">({ operation: "skip", ...choice, perform: { action, owner } }),
          );
          aside = optional("aside", report.aside);
          if (report.aside !== undefined && flags.json !== true)
            printLine(`the rows are kept in ${report.aside}`);
        },
      },
      flags,
    );
  });
}

const ROWS: Readonly<Record<SkipReport["rows"], string>> = {
  kept: "stay in the source: they can be read again after a rewind, or by another pipeline",
  setAside: "are copied to a folder of the pipeline's store, and then deleted from the source",
  forgotten: "are LOST: the source is told to forget them",
};

function describe({ batchId, attempt, state, start, end, hasLanded, rows }: SkipReport): string {
  return formatFields([
    ["batch", `${batchId}, attempt ${attempt}, ${state}, ${formatOffset(start)} → ${formatOffset(end)}`],
    ["in the sink", hasLanded ? "yes: it is only finished, and nothing is left out" : "no"],
    ...(hasLanded
      ? []
      : ([
          ["rows", ROWS[rows]],
          ["then", "the batch's id is used up, so that a late commit of it is refused"],
        ] as const)),
  ]);
}
