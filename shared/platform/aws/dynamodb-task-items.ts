import { unmarshall } from "@aws-sdk/util-dynamodb";
import { LEDGER_ATTRIBUTE, tasksPrefix } from "../../aws/names.ts";
import { batchDigits, partitionDigits } from "../../contract/keys.ts";
import { optional } from "../../contract/optional.ts";
import type { TaskSlot, TaskSlotChange } from "../../engine/ports/commit-claims.ts";
import type { CommitClaim, RunningTask, Task, TaskKey } from "../../engine/ports/tasks.ts";
import {
  type Attributes,
  type ComparedNames,
  type Fields,
  type Item,
  itemChange,
  json,
  type Key,
  parsed,
  toItem,
} from "./dynamodb-items.ts";
import type { ItemChange } from "./expression.ts";

/**
 * DynamoDB deletes task items after this time (TTL). The items must outlive the 90 days in which
 * Plan uses the task records of an attempt. Those days start when the attempt is planned, which is
 * before its tasks are recorded.
 */
const TASK_LIFE_SECONDS = 100 * 86_400;
/** A progress report is useless once its task has ended, and a claim once it has expired. */
const SHORT_LIFE_SECONDS = 7 * 86_400;

const EXPIRY = LEDGER_ATTRIBUTE.expiry;

/**
 * Tasks have partition keys of their own (`T#…`), so that `dynamodb:LeadingKeys` can limit the role
 * of Write to them.
 */
export function taskPartition(key: Omit<TaskKey, "partition">): string {
  const { pipeline, incarnation, batchId, attempt, stage } = key;
  const writes = `${tasksPrefix(pipeline)}${incarnation}#${batchDigits(batchId)}#${attempt}`;
  return stage === undefined ? writes : `${writes}#S${stage}`;
}

export function taskKey(key: TaskKey): Key {
  return { pk: taskPartition(key), sk: partitionDigits(key.partition) };
}

/**
 * Progress reports have another partition key than the tasks, so that reading the tasks does not
 * read them. The role of Write may write both.
 */
export function progressPartition(key: Omit<TaskKey, "partition">): string {
  return `${taskPartition(key)}#P`;
}

/**
 * How a slot is stored. A record has an attribute `writerId`, and a claim has attributes of its
 * own, so that one condition can decide about both.
 */
const SLOT: Attributes<TaskSlot> = {
  task: (task) => (task === undefined ? {} : taskAttributes(task)),
  claim: (claim) => ({
    claimWriterId: claim?.writerId,
    claimAttemptNumber: claim?.attemptNumber,
    claimEpoch: claim?.epoch,
    claimExpiresAt: claim?.expiresAt,
    ...(claim === undefined ? {} : { [EXPIRY]: secondsAfter(claim.expiresAt, SHORT_LIFE_SECONDS) }),
  }),
};

const SLOT_NAMES: ComparedNames = {
  task: "writerId",
  claim: "claimWriterId",
  "claim.writerId": "claimWriterId",
  "claim.epoch": "claimEpoch",
  "claim.expiresAt": "claimExpiresAt",
};

/** Metrics are JSON, because DynamoDB's numbers are not JavaScript's. */
function taskAttributes({ message, metrics, counts, ...fields }: Task): Fields {
  return {
    ...fields,
    message: JSON.stringify(message),
    ...optional("metrics", json(metrics)),
    ...optional("counts", json(counts)),
    [EXPIRY]: secondsAfter(fields.recordedAt, TASK_LIFE_SECONDS),
  };
}

function secondsAfter(milliseconds: number, seconds: number): number {
  return Math.floor(milliseconds / 1000) + seconds;
}

/** Converts a change of a task's slot to the attributes of its item. */
export function slotChange(change: TaskSlotChange): ItemChange {
  return itemChange(change, SLOT, SLOT_NAMES);
}

/** Converts an item to a slot. A released claim leaves an item without either. */
export function slotOf(item: Item | undefined): TaskSlot {
  const { pk: _pk, sk: _sk, [EXPIRY]: _expiresAt, ...attributes } = unmarshall(item ?? {});
  const { claimWriterId, claimAttemptNumber, claimEpoch, claimExpiresAt, ...task } = attributes;
  const claim = {
    writerId: claimWriterId,
    attemptNumber: claimAttemptNumber,
    epoch: claimEpoch,
    expiresAt: claimExpiresAt,
  } as CommitClaim;
  return {
    ...(task["writerId"] === undefined ? {} : { task: taskOf(task) }),
    ...(claimWriterId === undefined ? {} : { claim }),
  };
}

function taskOf({ message, metrics, counts, ...fields }: Fields): Task {
  return {
    ...(fields as Omit<Task, "message" | "metrics" | "counts">),
    message: JSON.parse(String(message)) as Task["message"],
    ...optional("metrics", parsed<Exclude<Task["metrics"], undefined>>(metrics)),
    ...optional("counts", parsed<Exclude<Task["counts"], undefined>>(counts)),
  };
}

export function progressItem(key: TaskKey, running: RunningTask): Item {
  const expiresAt = secondsAfter(running.reportedAt, SHORT_LIFE_SECONDS);
  const { sk } = taskKey(key);
  return toItem({ pk: progressPartition(key), sk, ...running, [EXPIRY]: expiresAt });
}

export function runningTaskOf(item: Item): RunningTask {
  const { pk: _pk, sk: _sk, [EXPIRY]: _expiresAt, ...running } = unmarshall(item);
  return running as RunningTask;
}
