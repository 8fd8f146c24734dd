import { runtime } from "../../local/home.ts";
import { MillraceError } from "../../shared/contract/errors.ts";
import { canonicalJson } from "../../shared/contract/json.ts";
import { type Offset, sameOffset } from "../../shared/contract/offset.ts";
import { shellQuoted } from "../../shared/contract/shell.ts";
import { fenceOf } from "../../shared/engine/acquire.ts";
import type { Batch, Head, Ledger } from "../../shared/engine/ports/ledger.ts";
import { findRewindProblem } from "../../shared/engine/ports/refusals.ts";
import { rewind } from "../../shared/engine/rewind.ts";
import { EXIT } from "../exit-codes.ts";
import { withOperator } from "../operations.ts";
import { type ActionFlags, actionOf, type ConsentFlags, withConsent, withIsoTime } from "../person.ts";
import { printJson, printLine } from "../render/terminal.ts";
import { formatFields, formatOffset, plural } from "../render/text.ts";
import { type TargetFlags, withTarget } from "../targets/open.ts";
import { findPipeline, requireHead, type TargetPipeline } from "../targets/target.ts";
import { batchNotFound } from "./batches.ts";

interface RewindFlags extends TargetFlags, ActionFlags, ConsentFlags {
  readonly toBatch?: number;
  readonly toStart?: boolean;
  readonly toOffset?: Offset;
  readonly unchecked?: boolean;
  readonly json?: boolean;
}

/** Number of latest batches in which the rewind looks for batches that will be read again. */
const MAX_BATCHES_SEARCHED = 1000;

/** `millrace rewind`: moves the offset. Returns the exit code. */
export async function rewindCommand(name: string, flags: RewindFlags): Promise<number> {
  return await withTarget(flags, async (target) => {
    const found = await findPipeline(target, name);
    const { ledger } = found;
    const head = await requireHead(found);
    const to = await destination(found, head, flags);
    const change = { ...actionOf(flags), from: head.offset ?? {}, to };
    const problem = findRewindProblem(fenceOf(head), change, head);
    if (problem !== undefined) throw problem;
    const again = await batchesReadAgain(ledger, head, to);
    const result = {
      pipeline: name,
      action: "rewind",
      ...withIsoTime(change),
      readAgain: again.map(({ batchId }) => batchId),
      nextBatchId: head.nextBatchId,
    };
    if (sameOffset(change.from, to)) {
      if (flags.json) printJson(result);
      else printLine(`${name}: is there already`);
      return EXIT.ok;
    }
    return await withConsent(
      {
        shown: `${name}: rewind\n${describe(head, to, again, flags)}`,
        question: "Move the offset?",
        done: `${name}: rewound; the next run begins with batch ${head.nextBatchId} at ${formatOffset(to)}`,
        result,
        async apply() {
          const claim = target.claim(`millrace rewind by ${change.by}`);
          try {
            const { owner } = claim;
            const hasEnded = target.hasEnded;
            await rewind({ ledger, runtime }, { pipeline: name, rewind: change, owner, hasEnded });
          } finally {
            claim.end();
          }
        },
      },
      flags,
    );
  });
}

async function destination(
  { name, ledger }: TargetPipeline,
  head: Head,
  flags: RewindFlags,
): Promise<Offset> {
  const { toBatch, toStart, toOffset, unchecked = false } = flags;
  if ([toBatch, toStart, toOffset].filter((one) => one !== undefined).length !== 1) {
    throw new MillraceError("USAGE", "rewind needs one of --to-batch, --to-start and --to-offset", {
      hint: "--to-batch 12 reads batch 12 and what came after it again; --to-offset takes a JSON object.",
    });
  }
  if (toStart === true) return await firstStart(ledger, head);
  if (toOffset !== undefined) return unchecked ? toOffset : await tried(name, toOffset, flags);
  const batch = await ledger.batch(head.pipeline, toBatch ?? 0);
  if (batch === undefined) throw batchNotFound(head.pipeline, toBatch ?? 0);
  return batch.start;
}

/** Returns the offset as the pipeline's source writes it. Error: `OFFSET_UNREADABLE`. */
async function tried(name: string, offset: Offset, flags: RewindFlags): Promise<Offset> {
  const without = `The offset could not be tried on the source, and stays as it was. To set it all the same: \`millrace rewind ${name} --to-offset ${shellQuoted(canonicalJson(offset))} --unchecked\`.`;
  try {
    return await withOperator(name, flags, async (operator) => {
      const report = await operator.run<"tryOffset">({ operation: "tryOffset", offset });
      return report.offset;
    });
  } catch (error) {
    if (!MillraceError.is(error) || error.code === "OFFSET_UNREADABLE") throw error;
    throw error.with({ hint: error.hint === undefined ? without : `${error.hint} ${without}` });
  }
}

/** Returns where the first batch began. If the ledger knows none, the offset stays. */
async function firstStart(ledger: Ledger, { pipeline, offset = {} }: Head): Promise<Offset> {
  let start = offset;
  let before: number | undefined;
  for (;;) {
    const page = await ledger.batches(pipeline, {
      limit: MAX_BATCHES_SEARCHED,
      ...(before === undefined ? {} : { before }),
    });
    const last = page.at(-1);
    if (last === undefined) return start;
    start = last.start;
    before = last.batchId;
  }
}

/**
 * Returns the newest batch that started at `to` and all later ones, oldest first. The result is
 * empty if no batch started there.
 */
async function batchesReadAgain(ledger: Ledger, head: Head, to: Offset): Promise<readonly Batch[]> {
  const newestFirst = await ledger.batches(head.pipeline, { limit: MAX_BATCHES_SEARCHED });
  const first = newestFirst.findIndex((batch) => sameOffset(batch.start, to));
  return newestFirst.slice(0, first + 1).reverse();
}

function describe(
  head: Head,
  to: Offset,
  again: readonly Batch[],
  { unchecked = false }: RewindFlags,
): string {
  const offset = ["offset", `${formatOffset(head.offset)} → ${formatOffset(to)}`] as const;
  const [first, ...others] = again;
  if (first === undefined) {
    return formatFields([
      offset,
      ["again", "not known: no batch that is recorded began there"],
      ["danger", "if that is after the present offset, the rows between are never read"],
      ...(unchecked ? ([["unchecked", "whether the source can read it was not tried"]] as const) : []),
    ]);
  }
  const rows = again.reduce((sum, { progress }) => sum + (progress?.rows ?? 0), 0);
  const last = others.at(-1);
  const which = last === undefined ? `batch ${first.batchId}` : `batches ${first.batchId} to ${last.batchId}`;
  return formatFields([
    offset,
    ["again", `${which} (${plural(rows, "row")})`],
    ["danger", `the sink gets those rows a second time, as batch ${head.nextBatchId} and on`],
    ["source", "must still have them, though it was told that they are committed"],
  ]);
}
