import { join } from "node:path";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { S3Client } from "@aws-sdk/client-s3";
import { describe, expect, it } from "vitest";
import { runtime } from "../../local/home.ts";
import { rowsOf } from "../../shared/arrow/rows.ts";
import { ArrowTable } from "../../shared/connectors/arrow-table/index.ts";
import { readTable } from "../../shared/connectors/arrow-table/read.ts";
import { type Pipeline, pipeline } from "../../shared/contract/pipeline.ts";
import { ReadAllAvailable } from "../../shared/contract/read-limit.ts";
import { finalize } from "../../shared/engine/finalize.ts";
import { OpenPipeline } from "../../shared/engine/open-pipeline.ts";
import { plan } from "../../shared/engine/plan.ts";
import type { Ports } from "../../shared/engine/ports.ts";
import { write } from "../../shared/engine/write.ts";
import { DynamoDbLedger } from "../../shared/ledger/dynamodb.ts";
import { DirectoryStore } from "../../shared/store/directory.ts";
import { S3Store } from "../../shared/store/s3.ts";
import { scripted } from "../support/engine.ts";
import { newLedger, newStore } from "./clients.ts";

/** Counts the requests of a client, retries too. */
function counting<C extends DynamoDBClient | S3Client>(client: C): { readonly client: C; count: number } {
  const counter = { client, count: 0 };
  // The stacks of both clients differ in their types only.
  (client.middlewareStack as DynamoDBClient["middlewareStack"]).add(
    (next) => async (args) => {
      counter.count++;
      return await next(args);
    },
    { step: "finalizeRequest", priority: "low", name: "counter" },
  );
  return counter;
}

describe("a batch on DynamoDB and S3", () => {
  it("costs at most 10 + 2 requests a partition of the ledger, and 3 + 2 of the store", async () => {
    const { tableName } = await newLedger();
    const bucket = (await newStore()).location.split("/")[2] ?? "";
    const dynamodb = counting(new DynamoDBClient({}));
    const s3 = counting(new S3Client({ forcePathStyle: true }));
    const ports: Ports = {
      ledger: new DynamoDbLedger({ client: dynamodb.client, tableName, runtime, random: Math.random }),
      store: new S3Store({ client: s3.client, bucket, prefix: "numbers", runtime, random: Math.random }),
      openStore: (location) => new DirectoryStore(join("/nowhere", location)),
      runtime,
      random: Math.random,
    };
    const { source } = scripted({ available: 24 }).pipeline;
    const numbers = pipeline("numbers").readStream.format(source.dataSource).writeStream.format(ArrowTable);
    const open = await OpenPipeline.open(numbers as unknown as Pipeline, ports);
    const signal = new AbortController().signal;
    const counts: string[] = [];
    for (let batch = 0; batch < 3; batch++) {
      dynamodb.count = 0;
      s3.count = 0;
      const planned = await plan(open, ports, {
        owner: { id: "a", description: "run a" },
        leaseMilliseconds: 60_000,
        limit: new ReadAllAvailable(),
        hasEnded: async () => false,
      });
      if (planned.kind !== "batch") throw new Error("there is no batch");
      const fixed = { dynamodb: dynamodb.count, s3: s3.count };
      for (const partition of planned.todo)
        await write(open, ports, { run: planned.run, partition, attemptNumber: 0 }, { signal });
      const tasks = { dynamodb: dynamodb.count - fixed.dynamodb, s3: s3.count - fixed.s3 };
      expect((await finalize(open, ports, { run: planned.run })).batch.state).toBe("committed");
      await ports.ledger.release(planned.fence);
      const partitions = planned.todo.length;
      counts.push(
        `DynamoDB ${dynamodb.count - tasks.dynamodb} + ${tasks.dynamodb / partitions} × partitions, S3 ${s3.count - tasks.s3} + ${tasks.s3 / partitions} × partitions`,
      );
    }
    console.log(counts.join("\n"));
    // The first batch has no hint of a commit before it, and a table without a log.
    expect(counts).toEqual(
      Array.from({ length: 3 }, () => "DynamoDB 8 + 2 × partitions, S3 3 + 2 × partitions"),
    );
    const ids: number[] = [];
    for await (const batch of readTable(ports.store.at("table")))
      for (const row of rowsOf(batch)) ids.push(Number(row["id"]));
    expect(ids).toEqual(Array.from({ length: 24 }, (_, id) => id));
  });
});
