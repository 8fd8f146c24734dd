import type { AttributeValue } from "@aws-sdk/client-dynamodb";
import { marshall, unmarshall } from "@aws-sdk/util-dynamodb";
import { LEDGER_ATTRIBUTE, pipelinePartition, tasksPrefix } from "../../aws/names.ts";
import { canonicalJson, type JsonValue } from "../../contract/json.ts";
import type { Offset } from "../../contract/offset.ts";
import { optional } from "../../contract/optional.ts";
import type {
  Action,
  Batch,
  Head,
  JournalEntry,
  RunningTask,
  Task,
  TaskKey,
} from "../../engine/ports/ledger.ts";

/** An item as DynamoDB gives and takes it. */
export type Item = Record<string, AttributeValue>;
/** The key attributes of an item. */
export type Key = Readonly<Record<(typeof LEDGER_ATTRIBUTE)["partitionKey" | "sortKey"], string>>;

/**
 * Longer than any batch may stay open: task items go by themselves (TTL), and one that is still needed must not.
 * A task is recorded after its attempt was planned, and Plan gives up on tasks 90 days after that.
 */
const TASK_LIFE_SECONDS = 100 * 86_400;
/** What a task told of itself is of no use once the task has ended. */
const PROGRESS_LIFE_SECONDS = 7 * 86_400;

const EXPIRY = LEDGER_ATTRIBUTE.expiry;

export function headKey(pipeline: string): Key {
  return { pk: pipelinePartition(pipeline), sk: "HEAD" };
}

export function batchKey(pipeline: string, batchId: number): Key {
  return { pk: pipelinePartition(pipeline), sk: `B#${String(batchId).padStart(12, "0")}` };
}

/** In the order of their times; kept for ever. */
export function journalKey(pipeline: string, at: number, id: string): Key {
  return { pk: pipelinePartition(pipeline), sk: `A#${new Date(at).toISOString()}#${id}` };
}

/** The partition of its own that lets the role of Write be limited to `T#…` by `dynamodb:LeadingKeys`. */
export function taskPartition(key: Omit<TaskKey, "partition">): string {
  return `${tasksPrefix(key.pipeline)}${key.incarnation}#${String(key.batchId).padStart(12, "0")}#${key.attempt}`;
}

export function taskKey(key: TaskKey): Key {
  return { pk: taskPartition(key), sk: String(key.partition).padStart(6, "0") };
}

/** Beside the tasks, whose reader must not have to read it. The role of Write may put it, too. */
export function progressPartition(key: Omit<TaskKey, "partition">): string {
  return `${taskPartition(key)}#P`;
}

/** The values of an expression, or an item. Offsets and the like travel as canonical JSON, so that conditions can compare them. */
export function toItem(fields: Readonly<Record<string, unknown>>): Item {
  return marshall(fields, { removeUndefinedValues: true });
}

export function jsonOf(offset: Offset): string {
  return canonicalJson(offset);
}

export function headOf(item: Item): Head {
  const head = unmarshall(item) as Record<string, unknown> & Head;
  const leaseOwner = head["leaseOwner"] as string | undefined;
  const unacknowledged = head["unacknowledgedBatchId"] as number | undefined;
  return {
    pipeline: String(head["pk"]).slice(2),
    incarnation: head.incarnation,
    epoch: head.epoch,
    nextBatchId: head.nextBatchId,
    ...(leaseOwner === undefined
      ? {}
      : {
          lease: {
            owner: { id: leaseOwner, description: String(head["leaseDescription"]) },
            expiresAt: Number(head["leaseExpiresAt"]),
          },
        }),
    ...optional("offset", parsed<Offset>(head["position"])),
    ...optional("lastCommit", parsed<JsonValue>(head.lastCommit)),
    ...optional("lastCommittedBatchId", head.lastCommittedBatchId),
    ...optional("lastPlannedAt", head.lastPlannedAt),
    ...optional("openBatchId", head.openBatchId),
    ...(unacknowledged === undefined
      ? {}
      : {
          unacknowledged: { batchId: unacknowledged, end: parsed<Offset>(head["unacknowledgedEnd"]) ?? {} },
        }),
    ...optional("paused", parsed<Action>(head["pausedAs"])),
  };
}

export function batchItem(batch: Batch): Item {
  const { start, end, latest, progress, error, ...fields } = batch;
  return toItem({
    ...batchKey(batch.pipeline, batch.batchId),
    ...fields,
    start: jsonOf(start),
    end: jsonOf(end),
    latest: latest && jsonOf(latest),
    progress: progress && JSON.stringify(progress),
    error: error && JSON.stringify(error),
  });
}

export function batchOf(item: Item): Batch {
  const { pk: _pk, sk: _sk, start, end, latest, progress, error, ...fields } = unmarshall(item);
  return {
    ...(fields as Omit<Batch, "start" | "end" | "latest" | "progress" | "error">),
    start: parsed<Offset>(start) ?? {},
    end: parsed<Offset>(end) ?? {},
    ...optional("latest", parsed<Offset>(latest)),
    ...optional("progress", parsed<Exclude<Batch["progress"], undefined>>(progress)),
    ...optional("error", parsed<Exclude<Batch["error"], undefined>>(error)),
  };
}

export function taskItem(key: TaskKey, task: Task): Item {
  const { message, ...fields } = task;
  const expiresAt = Math.floor(task.recordedAt / 1000) + TASK_LIFE_SECONDS;
  return toItem({ ...taskKey(key), ...fields, message: JSON.stringify(message), [EXPIRY]: expiresAt });
}

export function taskOf(item: Item): Task {
  const { pk: _pk, sk: _sk, [EXPIRY]: _expiresAt, message, ...fields } = unmarshall(item);
  return { ...(fields as Omit<Task, "message">), message: JSON.parse(String(message)) as Task["message"] };
}

export function progressItem(key: TaskKey, running: RunningTask): Item {
  const expiresAt = Math.floor(running.reportedAt / 1000) + PROGRESS_LIFE_SECONDS;
  const { sk } = taskKey(key);
  return toItem({ pk: progressPartition(key), sk, ...running, [EXPIRY]: expiresAt });
}

export function runningTaskOf(item: Item): RunningTask {
  const { pk: _pk, sk: _sk, [EXPIRY]: _expiresAt, ...running } = unmarshall(item);
  return running as RunningTask;
}

export function journalItem(pipeline: string, entry: JournalEntry, id: string): Item {
  const { from, to, ...fields } = entry;
  return toItem({
    ...journalKey(pipeline, entry.at, id),
    ...fields,
    from: from && jsonOf(from),
    to: to && jsonOf(to),
  });
}

export function journalEntryOf(item: Item): JournalEntry {
  const { pk: _pk, sk: _sk, from, to, ...fields } = unmarshall(item);
  return {
    ...(fields as Omit<JournalEntry, "from" | "to">),
    ...optional("from", parsed<Offset>(from)),
    ...optional("to", parsed<Offset>(to)),
  };
}

function parsed<T>(value: unknown): T | undefined {
  return typeof value === "string" ? (JSON.parse(value) as T) : undefined;
}
