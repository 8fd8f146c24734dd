import type { Schema } from "apache-arrow";
import { SchemaInference } from "../arrow/infer-schema.ts";
import { itemsOf } from "../arrow/record-batches.ts";
import { isPlainRow } from "../arrow/row-hints.ts";
import type { TaskContext } from "../contract/context.ts";
import { MillraceError } from "../contract/errors.ts";
import { sameOffset } from "../contract/offset.ts";
import { guard } from "./sessions/guard.ts";
import type { Sessions } from "./sessions/open-sessions.ts";

/** A schema that is proposed for a source. */
export interface ProposedSchema {
  readonly schema: Schema;
  readonly notes: readonly string[];
  /** Number of rows of the sample, or `undefined` if the source itself tells the schema. */
  readonly rows: number | undefined;
}

/**
 * Proposes a schema from a sample of at most `rows` rows, from the beginning of the source. Nothing
 * is recorded, and the source is not told that anything was committed. A source whose rows are no
 * objects tells its schema itself. Errors: `SCHEMA_REQUIRED` if there are no rows, and those of the
 * source.
 */
export async function inferSchema(sessions: Sessions, rows: number): Promise<ProposedSchema> {
  const where = { pipeline: sessions.pipeline.name };
  const inference = new SchemaInference();
  const sample = sessions.source.sample() ?? (await sampleOfReader(sessions));
  if (sample !== undefined) {
    await guard("SOURCE_FAILED", "reading a sample failed", where, async () => {
      for await (const row of sample) {
        if (!isPlainRow(row) || Array.isArray(row)) break;
        inference.add(row);
        if (inference.rows >= rows) break;
      }
    });
    if (inference.rows > 0) return { ...inference.finish(), rows: inference.rows };
  }
  const own = await sessions.source.ownSchema();
  if (own !== undefined) return { schema: own, notes: [], rows: undefined };
  throw new MillraceError("SCHEMA_REQUIRED", "the source has no rows from which a schema could be inferred", {
    where,
    hint: "Run it again when there are rows, or write the schema by hand.",
  });
}

/** Reads the first batch of a source, if it tells its schema, which its reader needs. */
async function sampleOfReader(sessions: Sessions): Promise<AsyncIterable<unknown> | undefined> {
  const { source } = sessions;
  if (sessions.pipeline.source.schema === undefined && (await source.ownSchema()) === undefined)
    return undefined;
  return rowsOfReader(sessions);
}

async function* rowsOfReader({ source, sink, pipeline }: Sessions): AsyncGenerator<unknown> {
  const schema = await source.sourceSchema();
  const planner = await source.planner();
  const where = { pipeline: pipeline.name };
  const start = await planner.initialOffset();
  if (!planner.canRepeatLatestOffset) {
    const simple = await source.simpleReader(schema);
    yield* itemsOf((await simple.read(start)).rows, where);
    return;
  }
  const { end } = await planner.latestOffset(start, await planner.defaultReadLimit());
  if (sameOffset(start, end)) return;
  const reader = await source.reader(schema);
  try {
    for (const [partitionId, partition] of (await planner.partitions(start, end)).entries()) {
      const task = { ...sink.context("sample"), ...SAMPLE, partitionId } satisfies TaskContext;
      yield* itemsOf(await reader.read(partition, task), where);
    }
  } finally {
    await reader.stop();
  }
}

const SAMPLE = {
  batchId: 0,
  planId: "sample",
  attempt: 1,
  attemptNumber: 0,
  signal: new AbortController().signal,
};
