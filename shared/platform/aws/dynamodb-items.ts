import type { AttributeValue } from "@aws-sdk/client-dynamodb";
import { marshall, unmarshall } from "@aws-sdk/util-dynamodb";
import { type LEDGER_ATTRIBUTE, pipelinePartition } from "../../aws/names.ts";
import type { BatchIdentity } from "../../contract/batch-identity.ts";
import { MillraceError } from "../../contract/errors.ts";
import { canonicalJson, type JsonValue } from "../../contract/json.ts";
import { batchDigits } from "../../contract/keys.ts";
import type { Offset } from "../../contract/offset.ts";
import { optional } from "../../contract/optional.ts";
import type { Change, Test, Where } from "../../engine/ports/compare-and-set.ts";
import type { Batch, Exchanges, Head, PipelineIdentity, TableWrite } from "../../engine/ports/ledger.ts";
import type { Action, BackfillClaim, JournalEntry, Pause } from "../../engine/ports/manual-operations.ts";
import type { PlanFailure } from "../../engine/ports/records.ts";
import type { HeadFields } from "../../engine/ports/transition.ts";
import type { ItemChange } from "./expression.ts";

/** An item in DynamoDB's format. */
export type Item = Record<string, AttributeValue>;
/** The key attributes of an item. */
export type Key = Readonly<Record<(typeof LEDGER_ATTRIBUTE)["partitionKey" | "sortKey"], string>>;

export function headKey(pipeline: string): Key {
  return { pk: pipelinePartition(pipeline), sk: "HEAD" };
}

export function batchKey(pipeline: string, batchId: number): Key {
  return { pk: pipelinePartition(pipeline), sk: `B#${batchDigits(batchId)}` };
}

/** True if the key is that of a batch. */
export function isBatchKey({ sk }: Key): boolean {
  return sk.startsWith("B#");
}

/** Journal entries sort by time. They are never deleted. */
export function journalKey(pipeline: string, at: number, id: string): Key {
  return { pk: pipelinePartition(pipeline), sk: `A#${new Date(at).toISOString()}#${id}` };
}

/** Converts fields to an item, or to the values of an expression. */
export function toItem(fields: Readonly<Record<string, unknown>>): Item {
  return marshall(fields, { removeUndefinedValues: true });
}

/**
 * How to store the fields that are not plain values, each as one or more attributes. Offsets are
 * stored as canonical JSON, so that conditions can compare them.
 */
export type Attributes<T> = { readonly [F in keyof T]-?: (value: T[F] | undefined) => Fields };
export type Fields = Readonly<Record<string, unknown>>;

const HEAD: Partial<Attributes<Head>> = {
  lease: (lease) => ({
    leaseOwner: lease?.owner.id,
    leaseDescription: lease?.owner.description,
    leaseExpiresAt: lease?.expiresAt,
  }),
  offset: (offset) => ({ position: canonical(offset) }),
  unacknowledged: (due) => ({
    unacknowledgedBatchId: due?.batchId,
    unacknowledgedEnd: canonical(due?.end),
  }),
  lastCommit: (lastCommit) => ({ lastCommit: json(lastCommit) }),
  paused: (action) => ({ pausedAs: json(action) }),
  backfills: (claims) => ({ backfills: canonical(claims) }),
  identity: (identity) => ({ identity: json(identity) }),
  lastInSink: (newest) => ({ lastInSink: json(newest) }),
  planFailure: (failure) => ({ planFailure: json(failure) }),
};

/** The fields of a batch that are not stored as they are. */
type JsonField = "start" | "end" | "latest" | "progress" | "error" | "skipped" | "write" | "exchanges";

const BATCH: Pick<Attributes<Batch>, JsonField> = {
  start: (start) => ({ start: canonical(start) }),
  end: (end) => ({ end: canonical(end) }),
  latest: (latest) => ({ latest: canonical(latest) }),
  progress: (progress) => ({ progress: json(progress) }),
  error: (error) => ({ error: json(error) }),
  skipped: (action) => ({ skipped: json(action) }),
  write: (write) => ({ write: json(write) }),
  exchanges: (exchanges) => ({ exchanges: json(exchanges) }),
};

/** Attribute names to use in conditions, for fields that are stored under another name. */
export type ComparedNames = Readonly<Record<string, string>>;

const HEAD_NAMES: ComparedNames = {
  lease: "leaseOwner",
  "lease.owner.id": "leaseOwner",
  "lease.expiresAt": "leaseExpiresAt",
  offset: "position",
  "unacknowledged.batchId": "unacknowledgedBatchId",
};

/** Converts a change of a head to the attributes of its item. */
export function headChange(change: Change<Head, HeadFields>): ItemChange {
  return itemChange(change, HEAD, HEAD_NAMES);
}

/** Converts a change of a batch to the attributes of its item. */
export function batchChange(change: Change<Batch>): ItemChange {
  return itemChange(change, BATCH, {});
}

/** Converts a change of a record to the attributes of its item. */
export function itemChange<T extends object, F>(
  { where, set, initial = {}, add = {} }: Change<T, F>,
  attributes: Partial<Attributes<T>>,
  names: ComparedNames,
): ItemChange {
  return {
    where: where.map((tests) => compared(tests, names)),
    set: attributesOf(set, attributes),
    initial: attributesOf(initial, attributes),
    add,
  };
}

function compared(where: object, names: ComparedNames): Where<Fields> {
  return Object.fromEntries(
    Object.entries(where as Record<string, Test<unknown>>).map(([path, { oneOf, ...test }]) => [
      names[path] ?? path,
      { ...test, ...optional("oneOf", oneOf?.map(comparable)) },
    ]),
  ) as Where<Fields>;
}

/** Objects that conditions compare, such as offsets, are stored as canonical JSON. */
function comparable(value: unknown): unknown {
  return typeof value === "object" ? canonical(value) : value;
}

function attributesOf<T extends object>(fields: object, attributes: Partial<Attributes<T>>): Fields {
  const all = Object.entries(fields).map(
    ([name, value]) => attributes[name as keyof T]?.(value as T[keyof T]) ?? { [name]: value as unknown },
  );
  return Object.assign({}, ...all) as Fields;
}

function canonical(value: object | null | undefined): string | undefined {
  return value == null ? undefined : canonicalJson(value as JsonValue);
}

export function json(value: unknown): string | undefined {
  return value === undefined ? undefined : JSON.stringify(value);
}

/**
 * Version of the items that this code writes. A head without one is of version 1, which had no plan
 * ids. In version 2 a commit message named one staged file. In version 3 every item beside a task's
 * key was its record. In version 4 the tasks of a batch only wrote. In version 5 no row was kept
 * beside its batch.
 */
const FORMAT = 6;

/**
 * Adds to the change of a head that acquires it: the item gets this code's version, if it has no
 * newer one.
 */
export function withFormat({ where, set, ...change }: ItemChange): ItemChange {
  const known: Test<number> = { absent: true, atMost: FORMAT };
  return {
    ...change,
    where: where.map((tests) => ({ ...tests, format: known })),
    set: { ...set, format: FORMAT },
  };
}

/** Throws `LEDGER_VERSION` if a newer version of Millrace wrote the item. */
function checkFormat(pipeline: string, format: unknown): void {
  if (format === undefined || Number(format) <= FORMAT) return;
  throw new MillraceError(
    "LEDGER_VERSION",
    `the ledger's items of pipeline "${pipeline}" have version ${String(format)}, this Millrace knows ${FORMAT}`,
    { where: { pipeline }, hint: "Use the Millrace that wrote them, or a newer one." },
  );
}

export function headOf(item: Item): Head {
  const head = unmarshall(item) as Record<string, unknown> & Head;
  checkFormat(String(head["pk"]).slice(2), head["format"]);
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
    ...optional("lastIdleAt", head.lastIdleAt),
    ...optional("planFailure", parsed<PlanFailure>(head.planFailure)),
    ...optional("openBatchId", head.openBatchId),
    ...(unacknowledged === undefined
      ? {}
      : {
          unacknowledged: { batchId: unacknowledged, end: parsed<Offset>(head["unacknowledgedEnd"]) ?? {} },
        }),
    ...optional("paused", parsed<Pause>(head["pausedAs"])),
    ...optional("backfills", parsed<readonly BackfillClaim[]>(head.backfills)),
    ...optional("formerIncarnations", head.formerIncarnations),
    ...optional("identity", parsed<PipelineIdentity>(head.identity)),
    ...optional("lastInSink", parsed<BatchIdentity>(head.lastInSink)),
    ...optional("isSinkUnchecked", head.isSinkUnchecked),
    ...optional("quarantinedRows", head.quarantinedRows),
    ...optional("lastRetryBatchId", head.lastRetryBatchId),
  };
}

export function batchItem(batch: Batch): Item {
  return toItem({ ...batchKey(batch.pipeline, batch.batchId), ...attributesOf(batch, BATCH) });
}

export function batchOf(item: Item): Batch {
  const {
    pk: _pk,
    sk: _sk,
    start,
    end,
    latest,
    progress,
    error,
    skipped,
    write,
    exchanges,
    ...fields
  } = unmarshall(item);
  return {
    ...(fields as Omit<Batch, JsonField>),
    start: parsed<Offset>(start) ?? {},
    end: parsed<Offset>(end) ?? {},
    ...optional("latest", parsed<Offset>(latest)),
    ...optional("progress", parsed<Exclude<Batch["progress"], undefined>>(progress)),
    ...optional("error", parsed<Exclude<Batch["error"], undefined>>(error)),
    ...optional("skipped", parsed<Action>(skipped)),
    ...optional("write", parsed<TableWrite>(write)),
    ...optional("exchanges", parsed<Exchanges>(exchanges)),
  };
}

export function journalItem(pipeline: string, entry: JournalEntry, id: string): Item {
  const { from, to, ...fields } = entry;
  return toItem({
    ...journalKey(pipeline, entry.at, id),
    ...fields,
    from: canonical(from),
    to: canonical(to),
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

export function parsed<T>(value: unknown): T | undefined {
  return typeof value === "string" ? (JSON.parse(value) as T) : undefined;
}
