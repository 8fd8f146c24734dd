import { randomUUID } from "node:crypto";
import { CreateTableCommand, DynamoDBClient, PutItemCommand, paginateScan } from "@aws-sdk/client-dynamodb";
import { afterEach, describe, expect, it, vi } from "vitest";
import { DynamoDb } from "../../../shared/connectors/dynamodb/index.ts";
import type { OnBadRow } from "../../../shared/contract/bad-rows.ts";
import { DataSource } from "../../../shared/contract/data-source.ts";
import { type Pipeline, pipeline } from "../../../shared/contract/pipeline.ts";
import { DataSourceStreamReader, type Row } from "../../../shared/contract/stream-reader.ts";
import { SqliteLedger } from "../../../shared/platform/embedded/sqlite-ledger.ts";
import { type PipelineRun, runPipeline } from "../../../shared/testing/run-pipeline.ts";
import { hasPython } from "../../support/python.ts";
import { useDynamoDb } from "./emulator.ts";

type Position = { readonly n: number };

let rows: readonly Row[] = [];

class Reader extends DataSourceStreamReader<Position, Position> {
  override initialOffset(): Position {
    return { n: 0 };
  }
  override latestOffset(): Position {
    return { n: rows.length };
  }
  override partitions({ n }: Position, end: Position): Position[] {
    return Array.from({ length: end.n - n }, (_, i) => ({ n: n + i })).filter((at) => at.n % 10 === 0);
  }
  override *read({ n }: Position): Generator<Row> {
    yield* rows.slice(n, n + 10);
  }
}
class Given extends DataSource {
  override schema(): string {
    return "id bigint, word string";
  }
  override streamReader(): Reader {
    return new Reader();
  }
}

/** Puts of these ids are refused like those of an item that an index cannot take. */
function refusePutsOf(...ids: readonly number[]): void {
  const { send } = DynamoDBClient.prototype;
  vi.spyOn(DynamoDBClient.prototype, "send").mockImplementation(function (
    this: DynamoDBClient,
    ...given: unknown[]
  ) {
    const [command] = given;
    if (command instanceof PutItemCommand && ids.includes(Number(command.input.Item?.["id"]?.N))) {
      const message =
        "One or more parameter values were invalid: Type mismatch for Index Key word Expected: N";
      throw Object.assign(new Error(message), { name: "ValidationException" });
    }
    return (send as (...args: unknown[]) => unknown).apply(this, given);
  } as never);
}

describe.skipIf(!hasPython)("rows that DynamoDB refuses", () => {
  const client = useDynamoDb();
  afterEach(() => {
    vi.restoreAllMocks();
  });

  async function copyOf(onBadRow: OnBadRow, options: { readonly max?: number } = {}) {
    const table = `refused-${randomUUID()}`;
    await client().send(
      new CreateTableCommand({
        TableName: table,
        BillingMode: "PAY_PER_REQUEST",
        AttributeDefinitions: [{ AttributeName: "id", AttributeType: "N" }],
        KeySchema: [{ AttributeName: "id", KeyType: "HASH" }],
      }),
    );
    const definition = pipeline(table)
      .readStream.format(Given)
      .writeStream.format(DynamoDb)
      .options({ table, partitionKey: "id" })
      .onBadRow(onBadRow, options) as unknown as Pipeline;
    return {
      run: (after?: PipelineRun, how: { readonly retryQuarantine?: boolean } = {}) =>
        runPipeline(definition, { ...how, ...(after === undefined ? {} : { after }) }),
      ids: async () => {
        const ids: number[] = [];
        for await (const { Items } of paginateScan(
          { client: client() },
          { TableName: table, ConsistentRead: true },
        ))
          for (const item of Items ?? []) if (item["word"] !== undefined) ids.push(Number(item["id"]?.N));
        return ids.sort((a, b) => a - b);
      },
      progress: async ({ state }: PipelineRun) => {
        const [batch] = await state.ledger.batches(table, { limit: 1 });
        return { rows: batch?.progress?.rows, bad: batch?.progress?.bad?.rows };
      },
    };
  }

  const keptIds = ({ quarantine }: PipelineRun) =>
    quarantine
      .map(({ row }) => Number((row as { id: { $bigint: string } }).id.$bigint))
      .sort((a, b) => a - b);
  const numbers = (count: number) => Array.from({ length: count }, (_, id) => id);
  const THIRTY = numbers(30).map((id) => ({ id, word: `w${id}` }));

  it("Rows that a put refuses are kept with their place, and sent again once", async () => {
    rows = THIRTY;
    const copy = await copyOf("quarantine");
    refusePutsOf(3, 25);
    const run = await copy.run();
    expect(await copy.ids()).toEqual(numbers(30).filter((id) => id !== 3 && id !== 25));
    expect(keptIds(run)).toEqual([3, 25]);
    expect(run.quarantine.map(({ reason }) => reason)).toContainEqual(
      expect.objectContaining({
        code: "DYNAMODB_FAILED",
        message: expect.stringContaining(
          "ValidationException: a key of an index has another type, or is empty",
        ) as string,
        where: expect.objectContaining({ partition: 2, row: 6 }) as object,
      }),
    );
    expect(await copy.progress(run)).toEqual({ rows: 28, bad: 2 });
    vi.restoreAllMocks();
    const again = await copy.run(run, { retryQuarantine: true });
    expect(again.quarantine).toEqual([]);
    expect(await copy.ids()).toEqual(numbers(30));
  });

  it("A run that is killed before the ledger knows of the commit loses and doubles none", async () => {
    rows = [];
    const copy = await copyOf("quarantine");
    const before = await copy.run();
    rows = THIRTY;
    refusePutsOf(3, 25);
    const finish = vi.spyOn(SqliteLedger.prototype, "finish").mockRejectedValueOnce(new Error("killed"));
    await expect(copy.run(before)).rejects.toThrow("killed");
    finish.mockRestore();
    vi.restoreAllMocks();
    const run = await copy.run(before);
    expect(keptIds(run)).toEqual([3, 25]);
    expect(await copy.progress(run)).toEqual({ rows: 28, bad: 2 });
    rows = [...THIRTY, ...THIRTY.map(({ id }) => ({ id: id + 30, word: "later" }))];
    expect(await copy.progress(await copy.run(run))).toEqual({ rows: 30, bad: undefined });
  });

  it("More refused rows than allowed abort the batch, and a drop is only counted", async () => {
    rows = THIRTY;
    refusePutsOf(3, 25);
    const few = await copyOf("quarantine", { max: 1 });
    await expect(few.run()).rejects.toMatchObject({ code: "BAD_ROWS_TOO_MANY" });
    const copy = await copyOf("drop");
    const run = await copy.run();
    expect(run.quarantine).toEqual([]);
    expect(await copy.progress(run)).toEqual({ rows: 28, bad: 2 });
  });

  it("Without a choice the error names the row", async () => {
    rows = THIRTY;
    refusePutsOf(25);
    await expect((await copyOf("fail")).run()).rejects.toMatchObject({
      code: "DYNAMODB_FAILED",
      where: { partition: 2, row: 6 },
      hint: expect.stringContaining('`.onBadRow("quarantine")`') as string,
    });
  });

  it("A row without a key and one that is too large are found by their task", async () => {
    rows = [...THIRTY, { id: null, word: "a" }, { id: 31, word: "é".repeat(205_000) }, { id: 32, word: "b" }];
    const copy = await copyOf("quarantine");
    const run = await copy.run();
    expect(await copy.ids()).toEqual([...numbers(30), 32]);
    expect(run.quarantine).toMatchObject([
      { reason: { code: "ROW_MISMATCH", where: { partition: 3, row: 1, field: "id" } }, row: { id: null } },
      { reason: { message: expect.stringContaining("row 2: expected at most 400 KB") as string } },
    ]);
    expect(await copy.progress(run)).toEqual({ rows: 31, bad: 2 });
  });
});
