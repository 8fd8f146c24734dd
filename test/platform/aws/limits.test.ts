import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { expect, it } from "vitest";
import { runtime } from "../../../local/home.ts";
import type { Work } from "../../../shared/aws/state.ts";
import type { ErrorRecord } from "../../../shared/contract/errors.ts";
import { canonicalJson } from "../../../shared/contract/json.ts";
import { boundedError, cut } from "../../../shared/engine/ports/bounded-error.ts";
import type { Batch, BatchRun, Head } from "../../../shared/engine/ports/ledger.ts";
import {
  batchItem,
  headChange,
  type Item,
  journalItem,
  toItem,
} from "../../../shared/platform/aws/dynamodb-items.ts";
import { DynamoDbLedger } from "../../../shared/platform/aws/dynamodb-ledger.ts";

const ITEM_BYTES = 400 * 1024;
const PAYLOAD_BYTES = 256 * 1024;
const INLINE_TASKS = 10_000;
const TARGET_CHARACTERS = 16 * 1024;

const client = new DynamoDBClient({ region: "eu-central-1" });
const { limits } = new DynamoDbLedger({ client, tableName: "ledger", runtime });

/** An offset as large as the ledger accepts. */
const OFFSET = { text: "ü".repeat((limits.offsetBytes - 11) / 2) };
const SCHEMA = "A".repeat(limits.schemaBytes);
const HUGE = "\u0001\u{1f600}".repeat(500_000);
const WHERE = { pipeline: "p", batchId: 1, path: HUGE, url: HUGE, field: HUGE };
const ERROR: ErrorRecord = boundedError({
  code: "MINE",
  message: HUGE,
  hint: HUGE,
  where: WHERE,
  also: Array.from({ length: 50 }, () => ({ code: "LATER", message: HUGE, hint: HUGE, where: WHERE })),
});
const NAME = "p".repeat(64);
const BATCH: Batch = {
  pipeline: NAME,
  incarnation: runtime.newId(),
  batchId: 10 ** 11,
  planId: runtime.newId(),
  start: OFFSET,
  end: OFFSET,
  latest: OFFSET,
  code: "c".repeat(64),
  partitionsKey: `batches/${"k".repeat(150)}`,
  tasks: 100_000,
  schema: SCHEMA,
  attempt: 1000,
  state: "aborted",
  lastTriedAttempt: 999,
  plannedAt: 1_800_000_000_000,
  firstPlannedAt: 1_800_000_000_000,
  finishedAt: 1_800_000_000_000,
  error: ERROR,
};

/** The size of an item as DynamoDB counts it. A number has at most 21 bytes. */
function itemBytes(item: Item): number {
  return Object.entries(item).reduce((sum, [name, value]) => {
    const [text] = Object.values(value) as unknown[];
    return sum + Buffer.byteLength(name) + (typeof text === "string" ? Buffer.byteLength(text) : 21);
  }, 0);
}

it("The item of a batch with three offsets, a schema and an error of the largest sizes fits", () => {
  expect(Buffer.byteLength(canonicalJson(OFFSET))).toBeGreaterThan(limits.offsetBytes - 2);
  expect(itemBytes(batchItem(BATCH))).toBeLessThan(ITEM_BYTES);
});

it("The item of a head with the largest offsets fits, and so does that of a rewind in the journal", () => {
  const head: Partial<Head> = {
    offset: OFFSET,
    unacknowledged: { batchId: 1, end: OFFSET },
    lastCommit: "x".repeat(1022),
    formerIncarnations: Array.from({ length: 100 }, () => runtime.newId()),
    lastInSink: { incarnation: runtime.newId(), batchId: 1, planId: runtime.newId() },
  };
  const { set } = headChange({ where: [], set: head });
  expect(itemBytes(toItem(set))).toBeLessThan(ITEM_BYTES);
  const rewind = { action: "rewind", by: "me", at: 0, from: OFFSET, to: OFFSET } as const;
  expect(itemBytes(journalItem(NAME, rewind, runtime.newId()))).toBeLessThan(ITEM_BYTES);
});

it("The state of an execution with all inline tasks and the largest target and hint fits", () => {
  const { pipeline, incarnation, batchId, planId = "", attempt, partitionsKey } = BATCH;
  const run: BatchRun = {
    ...{ pipeline, incarnation, batchId, planId, attempt, partitionsKey, epoch: 100_000 },
    lastCommit: "x".repeat(1022),
    position: {
      follows: { incarnation, batchId, planId },
      formerIncarnations: Array.from({ length: 100 }, () => runtime.newId()),
    },
    planning: {
      runId: "r".repeat(200),
      startedAt: 1.8e12,
      endedAt: 1.8e12,
      durationMs: { walCommit: 100_000 },
    },
  };
  const work: Work = {
    next: "WriteInline",
    todo: Array.from({ length: INLINE_TASKS }, (_, task) => task),
    items: null,
    run,
    committed: "Plan",
    aborted: "Failed",
    input: { trigger: "availableNow", target: "ü".repeat(TARGET_CHARACTERS) },
    execution: { id: "e".repeat(200), startedAt: "2026-11-28T00:00:00.000Z" },
  };
  expect(Buffer.byteLength(JSON.stringify(work))).toBeLessThan(PAYLOAD_BYTES);
});

it("A text that is cut has at most the bytes that were asked for, and no half of a character", () => {
  for (const most of [100, 101, 102, 103, 104]) {
    const text = cut(HUGE, most);
    expect(Buffer.byteLength(JSON.stringify(text))).toBeLessThanOrEqual(most + 3);
    expect(text).toMatch(/… \(cut: it has 1500000 characters\)$/);
    expect(text.isWellFormed()).toBe(true);
  }
  expect(cut("short", 100)).toBe("short");
});
