import type { BatchIdentity } from "../../contract/batch-identity.ts";
import type { JsonValue } from "../../contract/json.ts";
import type { Offset } from "../../contract/offset.ts";
import { optional } from "../../contract/optional.ts";
import type { TimeRangeJson } from "../../contract/time-range.ts";
import type { Batch, Exchanges, Head, PipelineIdentity, TableWrite } from "../../engine/ports/ledger.ts";
import type { Action, BackfillClaim, Pause } from "../../engine/ports/manual-operations.ts";
import type { PlanFailure } from "../../engine/ports/records.ts";
import type { BatchState } from "../../engine/ports/states.ts";

/** A row, or some of its columns. */
export type Row = Readonly<Record<string, string | number | null>>;

function json<T>(value: string | number | null | undefined): T | undefined {
  return typeof value === "string" ? (JSON.parse(value) as T & JsonValue) : undefined;
}

function number(value: string | number | null | undefined): number | undefined {
  return typeof value === "number" ? value : undefined;
}

function string(value: string | number | null | undefined): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function text(value: unknown): string | null {
  return value === undefined ? null : JSON.stringify(value);
}

/**
 * Converts a head to its row. `lease_owner` and `lease_expires_at` repeat the lease for the SQL of
 * older versions.
 */
export function headRow(head: Head): Row {
  return {
    pipeline: head.pipeline,
    incarnation: head.incarnation,
    epoch: head.epoch,
    lease: text(head.lease),
    lease_owner: head.lease?.owner.id ?? null,
    lease_expires_at: head.lease?.expiresAt ?? null,
    next_batch_id: head.nextBatchId,
    start_offset: text(head.offset),
    last_committed_batch_id: head.lastCommittedBatchId ?? null,
    last_planned_at: head.lastPlannedAt ?? null,
    last_idle_at: head.lastIdleAt ?? null,
    plan_failure: text(head.planFailure),
    open_batch_id: head.openBatchId ?? null,
    unacknowledged: text(head.unacknowledged),
    last_commit: text(head.lastCommit),
    paused: text(head.paused),
    backfills: text(head.backfills),
    former_incarnations: text(head.formerIncarnations),
    identity: text(head.identity),
    last_in_sink: text(head.lastInSink),
    quarantined_rows: head.quarantinedRows ?? null,
    last_retry_batch_id: head.lastRetryBatchId ?? null,
    is_sink_unchecked: head.isSinkUnchecked === true ? 1 : null,
  };
}

/** Converts a row to a head. */
export function headOf(row: Row): Head {
  return {
    pipeline: String(row["pipeline"]),
    incarnation: String(row["incarnation"]),
    epoch: Number(row["epoch"]),
    nextBatchId: Number(row["next_batch_id"]),
    ...optional("lease", json<Exclude<Head["lease"], undefined>>(row["lease"])),
    ...optional("offset", json<Offset>(row["start_offset"])),
    ...optional("lastCommittedBatchId", number(row["last_committed_batch_id"])),
    ...optional("lastPlannedAt", number(row["last_planned_at"])),
    ...optional("lastIdleAt", number(row["last_idle_at"])),
    ...optional("planFailure", json<PlanFailure>(row["plan_failure"])),
    ...optional("openBatchId", number(row["open_batch_id"])),
    ...optional("lastCommit", json<JsonValue>(row["last_commit"])),
    ...optional("unacknowledged", json<Exclude<Head["unacknowledged"], undefined>>(row["unacknowledged"])),
    ...optional("paused", json<Pause>(row["paused"])),
    ...optional("backfills", json<readonly BackfillClaim[]>(row["backfills"])),
    ...optional("formerIncarnations", json<readonly string[]>(row["former_incarnations"])),
    ...optional("identity", json<PipelineIdentity>(row["identity"])),
    ...optional("lastInSink", json<BatchIdentity>(row["last_in_sink"])),
    ...optional("quarantinedRows", number(row["quarantined_rows"])),
    ...optional("lastRetryBatchId", number(row["last_retry_batch_id"])),
    ...(row["is_sink_unchecked"] === 1 ? { isSinkUnchecked: true } : {}),
  };
}

/** Converts a batch to its row. */
export function batchRow(batch: Batch): Row {
  return {
    pipeline: batch.pipeline,
    batch_id: batch.batchId,
    incarnation: batch.incarnation,
    start_offset: text(batch.start),
    end_offset: text(batch.end),
    latest_offset: text(batch.latest),
    read_range: text(batch.range),
    partitions_key: batch.partitionsKey,
    tasks: batch.tasks,
    // The column does not allow NULL.
    schema: batch.schema ?? "",
    attempt: batch.attempt,
    state: batch.state,
    last_tried_attempt: batch.lastTriedAttempt,
    planned_at: batch.plannedAt,
    first_planned_at: batch.firstPlannedAt,
    finished_at: batch.finishedAt ?? null,
    progress: text(batch.progress),
    error: text(batch.error),
    plan_id: batch.planId ?? null,
    code: batch.code ?? null,
    skipped: text(batch.skipped),
    table_write: text(batch.write),
    exchanges: text(batch.exchanges),
    is_retry: batch.isRetry === true ? 1 : null,
    lasting_failures: batch.lastingFailures ?? null,
  };
}

/** Converts a row to a batch. */
export function batchOf(row: Row): Batch {
  return {
    pipeline: String(row["pipeline"]),
    incarnation: String(row["incarnation"]),
    batchId: Number(row["batch_id"]),
    start: json<Offset>(row["start_offset"]) ?? {},
    end: json<Offset>(row["end_offset"]) ?? {},
    ...optional("latest", json<Offset>(row["latest_offset"])),
    ...optional("range", json<TimeRangeJson>(row["read_range"])),
    partitionsKey: String(row["partitions_key"]),
    tasks: Number(row["tasks"]),
    ...(row["schema"] === "" ? {} : { schema: String(row["schema"]) }),
    attempt: Number(row["attempt"]),
    state: String(row["state"]) as BatchState,
    lastTriedAttempt: Number(row["last_tried_attempt"]),
    plannedAt: Number(row["planned_at"]),
    firstPlannedAt: Number(row["first_planned_at"]),
    ...optional("finishedAt", number(row["finished_at"])),
    ...optional("progress", json<Exclude<Batch["progress"], undefined>>(row["progress"])),
    ...optional("error", json<Exclude<Batch["error"], undefined>>(row["error"])),
    ...optional("planId", string(row["plan_id"])),
    ...optional("code", string(row["code"])),
    ...optional("skipped", json<Action>(row["skipped"])),
    ...optional("write", json<TableWrite>(row["table_write"])),
    ...optional("exchanges", json<Exchanges>(row["exchanges"])),
    ...(row["is_retry"] === 1 ? { isRetry: true } : {}),
    ...optional("lastingFailures", number(row["lasting_failures"])),
  };
}
