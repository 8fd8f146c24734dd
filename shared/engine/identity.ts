import { MillraceError } from "../contract/errors.ts";
import type { Fence, Head, PipelineIdentity } from "./ports/ledger.ts";
import type { Ports } from "./ports/runtime.ts";

/**
 * Compares what the pipeline's name stands for with what the ledger recorded, and records it if
 * there is nothing yet. Throws `PIPELINE_CHANGED`, so that a new source does not begin at the
 * offset of another one, and no target gets only the end of the rows.
 */
export async function checkIdentity(
  { ledger }: Pick<Ports, "ledger">,
  fence: Fence,
  { identity: known }: Head,
  identity: PipelineIdentity,
): Promise<void> {
  if (known !== undefined) {
    const differences = differencesOf(known, identity);
    if (differences.length > 0) throw pipelineChanged(fence.pipeline, known, identity, differences);
    if (isEqual(known, identity)) return;
  }
  await ledger.identify(fence, identity);
}

function isEqual(known: PipelineIdentity, identity: PipelineIdentity): boolean {
  const names = ["kind", "source", "sink", "target", "entry", "home"] as const;
  return names.every((name) => known[name] === identity[name]);
}

/** Returns a text for each difference that matters. */
function differencesOf(known: PipelineIdentity, now: PipelineIdentity): readonly string[] {
  if (known.kind !== now.kind)
    return [`it was a ${known.kind} pipeline, and is a ${now.kind === "batch" ? "batch" : "stream"}`];
  // A batch pipeline reads everything each time, so it may have other places in each run.
  if (now.kind === "batch") return [];
  const named = (what: string, before: string | undefined, after: string | undefined) =>
    before === after
      ? []
      : [
          `its ${what} was ${before ?? "in the pipeline's own folder"}, and is ${after ?? "in the pipeline's own folder"}`,
        ];
  const isEntryKnown = known.entry !== undefined && now.entry !== undefined;
  return [
    ...(isEntryKnown && !hasMoved(known.entry, now.entry, known, now)
      ? named("file", known.entry, now.entry)
      : []),
    ...named("source", known.source, now.source),
    ...named("sink", known.sink, now.sink),
    ...(hasMoved(known.target, now.target, known, now) ? [] : named("target", known.target, now.target)),
  ];
}

/**
 * True if both paths are equal, or if the project was moved as a whole: the paths differ in the
 * same leading part as the homes of the ledger.
 */
function hasMoved(
  before: string | undefined,
  after: string | undefined,
  { home: homeBefore = "" }: PipelineIdentity,
  { home: homeAfter = "" }: PipelineIdentity,
): boolean {
  if (before === after) return true;
  if (before === undefined || after === undefined) return false;
  const [from, to] = withoutCommonEnd(homeBefore, homeAfter);
  return from !== to && before.startsWith(from) && after === to + before.slice(from.length);
}

/** Cuts the last parts that two paths have in common. */
function withoutCommonEnd(a: string, b: string): readonly [string, string] {
  const [left, right] = [a.split("/"), b.split("/")];
  while (left.length > 1 && right.length > 1 && left.at(-1) === right.at(-1)) {
    left.pop();
    right.pop();
  }
  return [left.join("/"), right.join("/")];
}

function pipelineChanged(
  pipeline: string,
  known: PipelineIdentity,
  now: PipelineIdentity,
  differences: readonly string[],
): MillraceError {
  const another = "If it is another one, give it another name.";
  return new MillraceError(
    "PIPELINE_CHANGED",
    `pipeline "${pipeline}" is not what the ledger has under this name: ${differences.join("; ")}`,
    {
      where: { pipeline },
      hint:
        known.kind === now.kind
          ? `Nothing was planned. ${another} If it is the same pipeline and goes on from its offset: \`millrace accept ${pipeline}\`.`
          : `Nothing was planned. ${another} To give up what the ledger knows and begin anew: \`millrace forget ${pipeline}\`.`,
    },
  );
}
