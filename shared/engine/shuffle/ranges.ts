import type { ShuffleOutput } from "./spec.ts";

/** A chunk of a sorted run, with bounds of its sort keys. */
export interface RangeChunk {
  readonly task: number;
  readonly part: number;
  readonly first: Buffer;
  readonly last: Buffer;
  readonly bytes: number;
}

/** Returns the chunks of all tasks, in their order. */
export function rangeChunks(outputs: readonly ShuffleOutput[]): readonly RangeChunk[] {
  return outputs.flatMap(({ parts, keys = [] }, task) =>
    parts.map(([, start, end], part) => {
      const [first, last] = keys[part] ?? ["", ""];
      return {
        task,
        part,
        first: Buffer.from(first, "base64"),
        last: Buffer.from(last, "base64"),
        bytes: end - start,
      };
    }),
  );
}

/**
 * Returns the keys at which the rows are cut into `count` ranges of about the same size. They are
 * fewer than `count - 1` if there are not so many different keys.
 */
export function cutsOf(chunks: readonly RangeChunk[], count: number): readonly Buffer[] {
  const candidates = weighted(chunks);
  const total = chunks.reduce((sum, { bytes }) => sum + bytes, 0);
  const cuts: Buffer[] = [];
  let at = 0;
  for (let i = 1; i < count; i++) {
    const wanted = (total * i) / count;
    while (at < candidates.length && (candidates[at]?.below ?? 0) < wanted) at++;
    const nearest = nearer(candidates[at - 1], candidates[at], wanted);
    // Nothing lies below the first key.
    if (nearest === undefined || nearest.below === 0) continue;
    if (cuts.at(-1)?.equals(nearest.key) !== true) cuts.push(nearest.key);
  }
  return cuts;
}

/** A key, and about how many bytes of rows are below it. */
interface Candidate {
  readonly key: Buffer;
  readonly below: number;
}

/** A chunk is taken to lie half at its first key and half at its last one. */
function weighted(chunks: readonly RangeChunk[]): readonly Candidate[] {
  const ends = chunks
    .flatMap(({ first, last, bytes }) => [
      { key: first, weight: bytes / 2 },
      { key: last, weight: bytes / 2 },
    ])
    .sort((a, b) => Buffer.compare(a.key, b.key));
  const candidates: Candidate[] = [];
  let below = 0;
  for (const { key, weight } of ends) {
    if (candidates.at(-1)?.key.equals(key) !== true) candidates.push({ key, below });
    below += weight;
  }
  return candidates;
}

function nearer(
  one: Candidate | undefined,
  other: Candidate | undefined,
  wanted: number,
): Candidate | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return wanted - one.below <= other.below - wanted ? one : other;
}
