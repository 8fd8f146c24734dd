import type { Schema } from "apache-arrow";
import { decodeSchema, encodeSchema } from "../arrow/ipc-file.ts";
import { MillraceError } from "../contract/errors.ts";
import { batchLocation } from "./messages.ts";
import { readPlanHeader } from "./partitions-file.ts";
import type { Batch } from "./ports/ledger.ts";
import type { Ports } from "./ports/runtime.ts";
import type { Sessions } from "./sessions/open-sessions.ts";

/**
 * Returns the schema as the ledger records it with a batch. A large one is left out, because the
 * database limits the size of a batch. It is in the partitions file in any case.
 */
export function recordedSchema({ ledger }: Pick<Ports, "ledger">, schema: Schema): Pick<Batch, "schema"> {
  const encoded = encodeSchema(schema);
  return encoded.length <= ledger.limits.schemaBytes ? { schema: encoded } : {};
}

/**
 * Returns the schema with which the batch was planned. Throws `PARTITIONS_MISSING` if only the
 * partitions file has it and that is gone.
 */
export async function schemaOf({ store }: Pick<Ports, "store">, batch: Batch): Promise<Schema> {
  if (batch.schema !== undefined) return decodeSchema(batch.schema);
  try {
    return (await readPlanHeader(store, batch.partitionsKey)).schema;
  } catch (error) {
    throw MillraceError.is(error) ? withWayOut(error, batch) : error;
  }
}

function withWayOut(error: MillraceError, batch: Batch): MillraceError {
  if (error.code !== "PARTITIONS_MISSING") return error;
  return error.with({
    where: batchLocation(batch),
    hint: `It has the schema of the batch. A batch whose commit was not tried is planned anew by the next run. Otherwise restore the file, or end the batch without it: \`millrace skip ${batch.pipeline}\`.`,
  });
}

/**
 * Returns the schema of the source's own rows with which the batch was planned. Throws
 * `PARTITIONS_MISSING` if only the partitions file has it and that is gone.
 */
export async function sourceSchemaOf(
  { pipeline }: Pick<Sessions, "pipeline">,
  ports: Pick<Ports, "store">,
  batch: Batch,
): Promise<Schema> {
  if (pipeline.source.steps === undefined) return await schemaOf(ports, batch);
  try {
    const { schema, sourceSchema } = await readPlanHeader(ports.store, batch.partitionsKey);
    return sourceSchema ?? schema;
  } catch (error) {
    throw MillraceError.is(error) ? withWayOut(error, batch) : error;
  }
}

/**
 * Returns the schema with which the batch was planned, or the current one if that is gone. It is
 * for calls of the sink and the source that write no rows.
 */
export async function schemaOrCurrent(
  { source }: Pick<Sessions, "source">,
  ports: Pick<Ports, "store">,
  batch: Batch,
): Promise<Schema> {
  return await unlessMissing(schemaOf(ports, batch), () => source.schema());
}

/** Like `schemaOrCurrent`, for the source's own rows. */
export async function sourceSchemaOrCurrent(
  sessions: Pick<Sessions, "source" | "pipeline">,
  ports: Pick<Ports, "store">,
  batch: Batch,
): Promise<Schema> {
  return await unlessMissing(sourceSchemaOf(sessions, ports, batch), () => sessions.source.sourceSchema());
}

async function unlessMissing(recorded: Promise<Schema>, current: () => Promise<Schema>): Promise<Schema> {
  try {
    return await recorded;
  } catch (error) {
    if (MillraceError.is(error) && error.code === "PARTITIONS_MISSING") return await current();
    throw error;
  }
}
