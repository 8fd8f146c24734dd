import type { Schema } from "apache-arrow";
import { MillraceError } from "../contract/errors.ts";
import { schemaOf, schemaOrCurrent } from "./batch-schema.ts";
import type { Batch } from "./ports/ledger.ts";
import type { Ports } from "./ports/runtime.ts";
import type { Sessions } from "./sessions/open-sessions.ts";
import type { SinkWrite } from "./sessions/sink-write.ts";

interface Opened {
  readonly sessions: Sessions;
  readonly ports: Ports;
}

/** Creates the write for the commit of a batch. Throws `PARTITIONS_MISSING`. */
export async function writeOf(opened: Opened, batch: Batch): Promise<SinkWrite> {
  const { sessions, ports } = opened;
  // A batch that was skipped has no rows, so it needs no schema of its own.
  const schema =
    batch.skipped === undefined ? schemaOf(ports, batch) : schemaOrCurrent(sessions, ports, batch);
  return await openWrite(opened, batch, await schema);
}

/** Creates a write that commits nothing. It may have another schema than the batch, and no plan. */
export async function currentWriteOf(opened: Opened, batch: Batch): Promise<SinkWrite> {
  const { sessions, ports } = opened;
  return await openWrite(opened, batch, await schemaOrCurrent(sessions, ports, batch), true);
}

async function openWrite(
  { sessions }: Opened,
  batch: Batch,
  schema: Schema,
  commitsNothing = false,
): Promise<SinkWrite> {
  const plannedAt = batch.write?.plannedAt ?? batch.firstPlannedAt;
  const write = await sessions.sink.write(schema, { ...batch, plannedAt });
  // A batch write may keep something of the call, as it does in Spark.
  if (batch.write !== undefined)
    await write.repeatFactory(batch.write).catch((error: unknown) => {
      const isPlanLost = MillraceError.is(error) && error.code === "PARTITIONS_MISSING";
      if (!commitsNothing || !isPlanLost) throw error;
    });
  return write;
}
