import { runtime } from "../../local/home.ts";
import { MillraceError } from "../../shared/contract/errors.ts";
import { type Offset, sameOffset } from "../../shared/contract/offset.ts";
import { fenceOf } from "../../shared/engine/acquire.ts";
import type { Batch, Head, Ledger } from "../../shared/engine/ports/ledger.ts";
import { findRewindProblem } from "../../shared/engine/ports/refusals.ts";
import { rewind } from "../../shared/engine/rewind.ts";
import { EXIT } from "../exit-codes.ts";
import { type ActionFlags, actionOf, type ConsentFlags, withConsent, withIsoTime } from "../person.ts";
import { printJson, printLine } from "../render/terminal.ts";
import { formatFields, formatOffset, plural } from "../render/text.ts";
import { type TargetFlags, withTarget } from "../targets/open.ts";
import { findPipeline, requireHead } from "../targets/target.ts";
import { batchNotFound } from "./batches.ts";

interface RewindFlags extends TargetFlags, ActionFlags, ConsentFlags {
  readonly toBatch?: number;
  readonly toStart?: boolean;
  readonly toOffset?: Offset;
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
    const to = await destination(ledger, head, flags);
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
        shown: `${name}: rewind\n${describe(head, to, again)}`,
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
  ledger: Ledger,
  head: Head,
  { toBatch, toStart, toOffset }: RewindFlags,
): Promise<Offset> {
  if ([toBatch, toStart, toOffset].filter((one) => one !== undefined).length !== 1) {
    throw new MillraceError("USAGE", "rewind needs one of --to-batch, --to-start and --to-offset", {
      hint: "--to-batch 12 reads batch 12 and what came after it again; --to-offset takes a JSON object.",
    });
  }
  if (toStart === true) return await firstStart(ledger, head);
  if (toBatch === undefined) return toOffset ?? {};
  const batch = await ledger.batch(head.pipeline, toBatch);
  if (batch === undefined) throw batchNotFound(head.pipeline, toBatch);
  return batch.start;
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

function describe(head: Head, to: Offset, again: readonly Batch[]): string {
  const offset = ["offset", `${formatOffset(head.offset)} → ${formatOffset(to)}`] as const;
  const [first, ...others] = again;
  if (first === undefined) {
    return formatFields([
      offset,
      ["again", "not known: no batch that is recorded began there"],
      ["danger", "if that is after the present offset, the rows between are never read"],
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
