import { GetItemCommand } from "@aws-sdk/client-dynamodb";
import { describe, expect, it } from "vitest";
import { ledgerSuite } from "../engine/ports/ledger/ledger.suite.ts";
import { dynamodb, newLedger } from "./clients.ts";

ledgerSuite("DynamoDB", async () => (await newLedger()).ledger, { forgetsByItself: true });

const KEY = { pipeline: "orders", incarnation: "life-1", batchId: 3, attempt: 2, partition: 7 };
const TASK = {
  partition: 7,
  message: { path: "a.arrow" },
  rows: 5,
  bytes: 40,
  milliseconds: 12,
  attemptNumber: 0,
  writerId: "writer-1",
  recordedAt: Date.UTC(2026, 10, 21),
};

const RUNNING = {
  partition: 7,
  attemptNumber: 0,
  startedAt: Date.UTC(2026, 10, 21),
  rows: 33,
  bytes: 0,
  waitsFor: "source",
  progressedAt: Date.UTC(2026, 10, 21, 0, 0, 9),
  reportedAt: Date.UTC(2026, 10, 21, 0, 0, 10),
} as const;

describe("the DynamoDB ledger", () => {
  it("The DynamoDB ledger keeps tasks under their own key for longer than a batch's 90 days", async () => {
    const { ledger, tableName } = await newLedger();
    await ledger.recordTask(KEY, TASK);
    const Key = { pk: { S: "T#orders#life-1#000000000003#2" }, sk: { S: "000007" } };
    const { Item } = await dynamodb.send(new GetItemCommand({ TableName: tableName, Key }));
    const days = (Number(Item?.["expiresAt"]?.N) * 1000 - TASK.recordedAt) / 86_400_000;
    expect(days).toBe(100);
  });

  it("The DynamoDB ledger keeps the progress of running tasks beside them, for a week", async () => {
    const { ledger, tableName } = await newLedger();
    const { reportedAt } = RUNNING;
    await ledger.reportProgress(KEY, RUNNING);
    const Key = { pk: { S: "T#orders#life-1#000000000003#2#P" }, sk: { S: "000007" } };
    const { Item } = await dynamodb.send(new GetItemCommand({ TableName: tableName, Key }));
    expect((Number(Item?.["expiresAt"]?.N) * 1000 - reportedAt) / 86_400_000).toBe(7);
  });

  it("The DynamoDB ledger names what failed and says that nothing is lost", async () => {
    const { ledger } = await newLedger();
    await expect(ledger.recordTask(KEY, { ...TASK, message: "x".repeat(500_000) })).rejects.toMatchObject({
      code: "LEDGER_FAILED",
      message: expect.stringContaining("ValidationException") as string,
      retryable: false,
    });
  });
});
