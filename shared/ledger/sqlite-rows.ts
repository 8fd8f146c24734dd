import type { JsonValue } from "../contract/json.ts";
import type { Offset } from "../contract/offset.ts";
import type { Batch, Head } from "./ledger.ts";
import type { BatchState } from "./states.ts";

/** A row as SQLite gives it. */
export type Row = Readonly<Record<string, string | number | null>>;

/** An optional field: there only where the column has a value. */
function given<K extends string, T>(name: K, value: T | undefined): { [key in K]?: T } {
  return value === undefined ? {} : ({ [name]: value } as { [key in K]: T });
}

function json<T>(value: string | number | null | undefined): T | undefined {
  return typeof value === "string" ? (JSON.parse(value) as T & JsonValue) : undefined;
}

function number(value: string | number | null | undefined): number | undefined {
  return typeof value === "number" ? value : undefined;
}

/** A head of its row. */
export function headOf(row: Row): Head {
  return {
    pipeline: String(row["pipeline"]),
    incarnation: String(row["incarnation"]),
    epoch: Number(row["epoch"]),
    nextBatchId: Number(row["next_batch_id"]),
    ...given("lease", json<Exclude<Head["lease"], undefined>>(row["lease"])),
    ...given("offset", json<Offset>(row["start_offset"])),
    ...given("lastCommittedBatchId", number(row["last_committed_batch_id"])),
    ...given("openBatchId", number(row["open_batch_id"])),
    ...given("lastCommit", json<JsonValue>(row["last_commit"])),
    ...given("unacknowledged", json<Exclude<Head["unacknowledged"], undefined>>(row["unacknowledged"])),
  };
}

/** A batch of its row. */
export function batchOf(row: Row): Batch {
  return {
    pipeline: String(row["pipeline"]),
    incarnation: String(row["incarnation"]),
    batchId: Number(row["batch_id"]),
    start: json<Offset>(row["start_offset"]) ?? {},
    end: json<Offset>(row["end_offset"]) ?? {},
    partitionsKey: String(row["partitions_key"]),
    tasks: Number(row["tasks"]),
    schema: String(row["schema"]),
    attempt: Number(row["attempt"]),
    state: String(row["state"]) as BatchState,
    lastTriedAttempt: Number(row["last_tried_attempt"]),
    plannedAt: Number(row["planned_at"]),
    firstPlannedAt: Number(row["first_planned_at"]),
    ...given("finishedAt", number(row["finished_at"])),
    ...given("progress", json<Exclude<Batch["progress"], undefined>>(row["progress"])),
    ...given("error", json<Exclude<Batch["error"], undefined>>(row["error"])),
  };
}
