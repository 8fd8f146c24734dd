import * as fc from "fast-check";
import { Memory, MemoryStream } from "../../shared/connectors/memory/index.ts";
import type { MergeStreamOptions } from "../../shared/contract/merge-stream.ts";
import { type Pipeline, pipeline } from "../../shared/contract/pipeline.ts";
import { type PipelineRun, runPipeline } from "../../shared/testing/run-pipeline.ts";
import type { Surroundings } from "../../shared/testing/surroundings.ts";

/** A change of a key, as the feeds of these tests have it. */
export type Change = {
  readonly id: number;
  readonly v: string | null;
  readonly seq: number;
  readonly op: "upsert" | "delete" | null;
};

export const CHANGES_DDL = "id bigint NOT NULL, v string, seq bigint NOT NULL, op string";

/** How the tests merge such a feed. */
export const MERGE: MergeStreamOptions = {
  keys: ["id"],
  sequenceBy: "seq",
  applyAsDeletes: { kind: "EqualTo", attribute: ["op"], value: "delete" },
  exceptColumns: ["op"],
};

/** A set of changes, and how they arrive: in any order, some of them twice, in batches. */
export interface Feed {
  readonly changes: readonly Change[];
  readonly batches: readonly (readonly Change[])[];
}

const change = fc.record({
  id: fc.integer({ min: 0, max: 3 }),
  v: fc.option(fc.constantFrom("a", "b", "c")),
  seq: fc.integer({ min: 0, max: 12 }),
  op: fc.constantFrom("upsert" as const, "upsert" as const, "delete" as const, null),
});

/** Feeds in which no two changes of a key have one sequence. */
export const feeds: fc.Arbitrary<Feed> = fc
  .uniqueArray(change, { minLength: 1, maxLength: 25, selector: ({ id, seq }) => `${id}/${seq}` })
  .chain((changes) =>
    fc.record({
      changes: fc.constant(changes),
      delivered: fc
        .subarray(changes)
        .chain((again) =>
          fc.shuffledSubarray([...changes, ...again], { minLength: changes.length + again.length }),
        ),
      sizes: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 50, maxLength: 50 }),
    }),
  )
  .map(({ changes, delivered, sizes }) => ({ changes, batches: inBatches(delivered, sizes) }));

function inBatches(changes: readonly Change[], sizes: readonly number[]): Change[][] {
  const batches: Change[][] = [];
  for (let at = 0, i = 0; at < changes.length; at += sizes[i++] ?? 1)
    batches.push(changes.slice(at, at + (sizes[i] ?? 1)));
  return batches;
}

/** The newest state, computed in the simplest way. */
export function newestState(changes: readonly Change[]): object[] {
  const last = [...Map.groupBy(changes, ({ id }) => id).values()].map((all) =>
    all.reduce((a, b) => (b.seq > a.seq ? b : a)),
  );
  return last
    .filter(({ op }) => op !== "delete")
    .map(({ id, v, seq }) => ({ id, v, seq }))
    .sort((a, b) => a.id - b.id);
}

/** All states with their intervals, computed in the simplest way. */
export function allStates(changes: readonly Change[]): object[] {
  return [...Map.groupBy(changes, ({ id }) => id).values()]
    .flatMap((all) => {
      const sorted = all.toSorted((a, b) => a.seq - b.seq);
      return sorted.map((each, i) => ({ ...each, next: sorted[i + 1]?.seq ?? null }));
    })
    .filter(({ op }) => op !== "delete")
    .map(({ id, v, seq, next }) => ({ id, v, seq, __START_AT: seq, __END_AT: next }))
    .sort((a, b) => a.id - b.id || a.seq - b.seq);
}

let feedsMade = 0;

/** A stream of changes that tests add to, and the pipeline that merges it. */
export class ChangeFeed {
  readonly name = `changes-${++feedsMade}`;
  readonly stream: MemoryStream;
  readonly pipeline: Pipeline;
  run: PipelineRun | undefined;

  /** `to` makes the pipeline from its source. Default: into a memory table of the feed's name. */
  constructor(
    merge: MergeStreamOptions = MERGE,
    { ddl = CHANGES_DDL, numPartitions = 1, to }: FeedOptions = {},
  ) {
    this.stream = new MemoryStream(this.name, ddl);
    const source = pipeline(this.name)
      .readStream.format(Memory)
      .options({ stream: this.name, numPartitions });
    const made =
      to === undefined ? source.writeStream.format(Memory).options({ table: this.name }) : to(source);
    this.pipeline = made.merge(merge) as unknown as Pipeline;
  }

  /** Adds changes and merges them in one batch. */
  async merge(changes: readonly object[]): Promise<PipelineRun> {
    this.stream.addData(changes as never);
    this.run = await runPipeline(this.pipeline, {
      now: "2026-01-01T00:00:00Z",
      ...(this.run === undefined ? {} : { after: this.run }),
    });
    return this.run;
  }

  /** Moves the clock of the runs on. */
  pass(milliseconds: number): void {
    (this.run?.state.surroundings as Surroundings).now += milliseconds;
  }
}

export type ChangeSource = ReturnType<ReturnType<typeof pipeline>["readStream"]["format"]>;

interface FeedOptions {
  readonly ddl?: string;
  readonly numPartitions?: number;
  readonly to?: (source: ChangeSource) => { merge(options: MergeStreamOptions): unknown };
}
