import type { CommittedBatch } from "../../../contract/batch-identity.ts";
import { isCommitted } from "../../../contract/committed-batch.ts";
import type { BatchContext } from "../../../contract/context.ts";
import { MillraceError } from "../../../contract/errors.ts";
import { isPlainObject, type JsonValue } from "../../../contract/json.ts";
import type { Offset } from "../../../contract/offset.ts";
import { sha256 } from "../../kit/sha256.ts";
import type { TableMetadata } from "../format/types.ts";

/**
 * What makes a batch recognizable in a table, in three places. The property of its pipeline and
 * incarnation survives the expiry of snapshots and compaction. The snapshot id, which is computed
 * from the batch, stops a second commit in a catalog that drops properties. The summary of the
 * snapshot is for people.
 */

/** Longest text of a marker with the offsets of its batch. Each commit writes it again. */
const MAX_TEXT = 16 * 1024;

const PREFIX = "millrace.";

/** The property that holds the newest batch of a pipeline and incarnation. */
export function markerKey({ pipeline, incarnation }: Pick<BatchContext, "pipeline" | "incarnation">): string {
  return `${PREFIX}${pipeline}.${incarnation}`;
}

/** Returns the marker of a batch. `sequenceNumber` is that of its snapshot. */
export function markerText(
  { batchId, planId, start, end }: BatchContext,
  sequenceNumber: number | bigint,
): string {
  const identity = { batchId, planId, sequenceNumber: String(sequenceNumber) };
  const text = JSON.stringify({ ...identity, start, end });
  return text.length <= MAX_TEXT ? text : JSON.stringify(identity);
}

interface Marker extends CommittedBatch {
  readonly sequenceNumber: bigint;
}

/** Returns the newest batch of the pipeline, of any incarnation. Error: `MARKER_DAMAGED`. */
export function newestBatchOf(metadata: TableMetadata, pipeline: string): CommittedBatch | undefined {
  return newestOf(markersIn(metadata, pipeline));
}

/** Returns the newest batch of one incarnation of the pipeline. Error: `MARKER_DAMAGED`. */
export function newestBatchIn(
  metadata: TableMetadata,
  pipeline: string,
  incarnation: string,
): CommittedBatch | undefined {
  return newestOf(markersIn(metadata, pipeline).filter((marker) => marker.incarnation === incarnation));
}

function markersIn(metadata: TableMetadata, pipeline: string): readonly Marker[] {
  const ofProperties = Object.entries(metadata.properties).flatMap(([key, value]) => {
    const incarnation = incarnationOf(key, pipeline);
    return incarnation === undefined ? [] : [markerOf(key, value, incarnation)];
  });
  // Only a catalog that drops properties has snapshots of the pipeline and no marker.
  return ofProperties.length > 0 ? ofProperties : markersOfSummaries(metadata, pipeline);
}

function newestOf(markers: readonly Marker[]): CommittedBatch | undefined {
  const newest = markers.reduce<Marker | undefined>(
    (best, marker) => (best === undefined || marker.sequenceNumber > best.sequenceNumber ? marker : best),
    undefined,
  );
  if (newest === undefined) return undefined;
  const { sequenceNumber: _, ...batch } = newest;
  return batch;
}

/** Names of pipelines and incarnations have no dot. */
function incarnationOf(key: string, pipeline: string): string | undefined {
  const start = `${PREFIX}${pipeline}.`;
  return key.startsWith(start) ? key.slice(start.length) : undefined;
}

function markerOf(key: string, text: string, incarnation: string): Marker {
  const value = parsed(text);
  if (isPlainObject(value)) {
    const { batchId, planId, sequenceNumber, start, end } = value;
    if (
      Number.isSafeInteger(batchId) &&
      typeof planId === "string" &&
      typeof sequenceNumber === "string" &&
      /^\d+$/.test(sequenceNumber)
    )
      return {
        incarnation,
        batchId: batchId as number,
        planId,
        sequenceNumber: BigInt(sequenceNumber),
        ...(start === undefined ? {} : { start: start as Offset }),
        ...(end === undefined ? {} : { end: end as Offset }),
      };
  }
  throw new MillraceError("MARKER_DAMAGED", `the table's property "${key}" is not a marker of a batch`, {
    hint: "Another program has changed it. Set it to the value that an earlier metadata file has, or remove it and run `millrace adopt` on the pipeline.",
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function markersOfSummaries({ snapshots }: TableMetadata, pipeline: string): Marker[] {
  return snapshots.flatMap((snapshot) => {
    const { summary } = snapshot;
    const incarnation = summary["millrace.incarnation"];
    const planId = summary["millrace.plan-id"];
    const batchId = Number(summary["millrace.batch-id"]);
    if (summary["millrace.pipeline"] !== pipeline || incarnation === undefined || planId === undefined)
      return [];
    return [{ incarnation, planId, batchId, sequenceNumber: BigInt(snapshot["sequence-number"]) }];
  });
}

/** What a snapshot's summary says about the batch, for people. */
export function summaryOf({
  pipeline,
  incarnation,
  batchId,
  planId,
}: BatchContext): Readonly<Record<string, string>> {
  return {
    "engine-name": "millrace",
    "millrace.pipeline": pipeline,
    "millrace.incarnation": incarnation,
    "millrace.batch-id": String(batchId),
    "millrace.plan-id": planId,
  };
}

/**
 * Returns the snapshot id of a batch: 63 bits of a SHA-256 digest, never 0. All attempts to commit
 * the batch have the same id, and a table takes an id once.
 */
export function snapshotIdOf(
  tableUuid: string,
  {
    pipeline,
    incarnation,
    batchId,
    planId,
  }: Pick<BatchContext, "pipeline" | "incarnation" | "batchId" | "planId">,
): bigint {
  const parts: readonly JsonValue[] = [tableUuid, pipeline, incarnation, batchId, planId];
  return BigInt.asUintN(63, sha256(JSON.stringify(parts)).readBigUInt64BE(0)) || 1n;
}

/**
 * True if the table has the batch: by its marker or, in a catalog that drops properties, by its
 * snapshot. Throws `LEDGER_BEHIND_SINK` or `SINK_BEHIND_LEDGER`.
 */
export function hasBatch(metadata: TableMetadata, batch: BatchContext): boolean {
  if (isCommitted(batch, newestBatchOf(metadata, batch.pipeline))) return true;
  const id = snapshotIdOf(metadata["table-uuid"], batch);
  return metadata.snapshots.some((snapshot) => snapshot["snapshot-id"] === id);
}
