import type { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import type { S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runtime } from "../../local/home.ts";
import { rowsOf } from "../../shared/arrow/rows.ts";
import type { PlanEvent } from "../../shared/aws/state.ts";
import { readTable } from "../../shared/connectors/arrow-table/read.ts";
import { S3Store } from "../../shared/platform/aws/s3-store.ts";
import { s3 } from "./clients.ts";
import { Control } from "./control.ts";
import { EXECUTION, type Handlers, LAMBDA, loadHandlers } from "./handlers.ts";

/** Counts the requests to each service since the last call of `take`. */
class Counter {
  dynamodb = 0;
  s3 = 0;

  watch(service: "dynamodb" | "s3", client: DynamoDBClient | S3Client): void {
    // Both middleware stacks have the same methods and differ only in their types. The function
    // below is called for each request and for each retry.
    (client.middlewareStack as DynamoDBClient["middlewareStack"]).add(
      (next) => async (args) => {
        this[service]++;
        return await next(args);
      },
      { step: "finalizeRequest", priority: "low", name: "counter" },
    );
  }

  take(): { dynamodb: number; s3: number } {
    const { dynamodb, s3 } = this;
    this.dynamodb = 0;
    this.s3 = 0;
    return { dynamodb, s3 };
  }
}

const counter = new Counter();
let control: Control;
let handlers: Handlers;
let table: S3Store;

beforeAll(async () => {
  control = await Control.start();
  const loaded = await loadHandlers();
  handlers = loaded.handlers;
  counter.watch("dynamodb", handlers.dynamodb);
  counter.watch("s3", handlers.s3);
  table = new S3Store({
    client: s3,
    bucket: loaded.bucket,
    prefix: "numbers/table",
    runtime,
  });
});

afterAll(async () => {
  await control.close();
});

/**
 * Makes the calls of one execution to the handlers. Returns the numbers of requests of each batch,
 * and of the requests after the last batch.
 */
async function execute(input: PlanEvent["input"]): Promise<{ batches: string[]; end: string }> {
  const batches: string[] = [];
  counter.take();
  let planned = await handlers.plan({ input, execution: EXECUTION }, LAMBDA);
  for (;;) {
    if (planned.next === "Done") {
      const { dynamodb, s3 } = counter.take();
      return { batches, end: `DynamoDB ${dynamodb}, S3 ${s3}` };
    }
    const before = counter.take();
    const { run, todo } = planned;
    for (const partition of todo) await handlers.write({ run, partition, attemptNumber: 0 }, LAMBDA);
    const tasks = counter.take();
    const finalized = await handlers.finalize({ ...planned, failed: 0, killed: null }, LAMBDA);
    const after = counter.take();
    batches.push(
      (["dynamodb", "s3"] as const)
        .map((service) => {
          const name = service === "s3" ? "S3" : "DynamoDB";
          return `${name} ${before[service] + after[service]} + ${tasks[service] / todo.length} × partitions`;
        })
        .join(", "),
    );
    if (finalized.next !== "Plan") return { batches, end: "DynamoDB 0, S3 0" };
    planned = await handlers.plan({ input: finalized, execution: EXECUTION }, LAMBDA);
  }
}

/**
 * An execution makes at most 10 + 2 × partitions requests to DynamoDB, and 5 + 1 × partitions to
 * S3. Besides, each process of a task reads the partitions file once; here one process runs all.
 */
describe("the requests of an execution", () => {
  it("An execution with one batch makes 8 + 2 × partitions requests to the ledger, 5 + 1 to the store", async () => {
    control.available = 8;
    const first = await execute({ trigger: "once" });
    control.available = 24;
    control.perBatch = 8;
    const second = await execute({ trigger: "once" });
    console.log(`once: ${first.batches[0]}`);
    // The first run of a pipeline also records what its name stands for.
    // It looks twice for a checkpoint and a log, which a new table does not have: for the newest
    // batch, and for the columns.
    expect(first.batches).toEqual(["DynamoDB 9 + 2 × partitions, S3 9 + 1.25 × partitions"]);
    expect(second.batches).toEqual(["DynamoDB 8 + 2 × partitions, S3 5 + 1.25 × partitions"]);
    for (const { end } of [first, second]) expect(end).toBe("DynamoDB 0, S3 0");
  });

  it("An execution with several batches saves one ledger request per batch and spends 2 on its end", async () => {
    control.available = 40;
    const { batches, end } = await execute({ trigger: "availableNow" });
    console.log(`availableNow: ${batches[0]} for each batch, then ${end}`);
    expect(batches).toEqual(
      Array.from({ length: 3 }, () => "DynamoDB 7 + 2 × partitions, S3 5 + 1.25 × partitions"),
    );
    expect(end).toBe("DynamoDB 2, S3 0");
    const found: number[] = [];
    for await (const batch of readTable(table)) for (const row of rowsOf(batch)) found.push(Number(row["n"]));
    expect(found).toEqual(Array.from({ length: 40 }, (_, n) => n));
  });

  it("An execution makes 2 requests if there is no new data", async () => {
    expect(await execute({ trigger: "once" })).toEqual({ batches: [], end: "DynamoDB 2, S3 0" });
  });
});
