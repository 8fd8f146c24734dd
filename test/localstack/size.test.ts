import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { BatchWriteItemCommand } from "@aws-sdk/client-dynamodb";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runtime } from "../../local/home.ts";
import type { Finalized, Work } from "../../shared/aws/state.ts";
import { liveFiles } from "../../shared/connectors/arrow-table/open-state.ts";
import { taskRecorded } from "../../shared/engine/ports/commit-claims.ts";
import { toItem } from "../../shared/platform/aws/dynamodb-items.ts";
import { slotChange, taskKey } from "../../shared/platform/aws/dynamodb-task-items.ts";
import { S3Store } from "../../shared/platform/aws/s3-store.ts";
import { temporaryFolder } from "../support/folder.ts";
import { dynamodb, newLedger, newStore, s3 } from "./clients.ts";
import { Control } from "./control.ts";
import { bundle, EXECUTION, variables } from "./handlers.ts";

/**
 * Tests a batch of 10,000 partitions. Plan and Finalize each run in a process with as much memory
 * as their functions have.
 */

const PARTITIONS = 10_000;
const MEMORY_MIB = 512;
const MAX_PAYLOAD = 4096;
const MAX_SECONDS = 60;
const AT_ONCE = 25;

/** The answer of a step, and the time and memory that its process needed. */
interface Ran<Answer> {
  readonly answer: Answer;
  readonly seconds: number;
  readonly mebibytes: number;
}

let control: Control;

beforeAll(async () => {
  control = await Control.start();
});

afterAll(async () => {
  await control.close();
});

/** Runs a step in a new process. The heap is limited to the memory of the step's function. */
async function run<Answer>(
  step: "plan" | "finalize",
  event: object,
  env: Readonly<Record<string, string>>,
): Promise<Ran<Answer>> {
  const folder = temporaryFolder();
  const program = join(folder, `${step}.mjs`);
  const told = join(folder, "told.json");
  await bundle(
    `import { writeFileSync } from "node:fs";
     import { handler } from "./functions/${step}.ts";
     const startedAt = performance.now();
     const answer = await handler(JSON.parse(process.argv[2]), { getRemainingTimeInMillis: () => 300_000 });
     const seconds = (performance.now() - startedAt) / 1000;
     const mebibytes = process.resourceUsage().maxRSS / 1024;
     writeFileSync(process.argv[3], JSON.stringify({ answer, seconds, mebibytes }));
     process.exit(0);`,
    program,
  );
  const args = [`--max-old-space-size=${MEMORY_MIB}`, program, JSON.stringify(event), told];
  // `spawn` and not `spawnSync`, because the control server in this process must answer meanwhile.
  const child = spawn(process.execPath, args, { env: { ...process.env, ...env }, stdio: "inherit" });
  const [code] = (await once(child, "exit")) as [number | null];
  expect(code, step).toBe(0);
  return JSON.parse(readFileSync(told, "utf8")) as Ran<Answer>;
}

/** Puts the staged files of finished tasks of these partitions, and their records. */
async function record(
  table: string,
  { run: { pipeline, incarnation, batchId, attempt } }: Work,
  partitions: readonly number[],
  store: S3Store,
) {
  const file = (partition: number) => `data/numbers/${incarnation}/${partition}.arrow`;
  const staged = store.at("table");
  for (let i = 0; i < partitions.length; i += AT_ONCE)
    await Promise.all(
      partitions.slice(i, i + AT_ONCE).map((partition) => staged.put(file(partition), Buffer.alloc(800))),
    );
  const items = partitions.map((partition) => ({
    PutRequest: {
      Item: toItem({
        ...taskKey({ pipeline, incarnation, batchId, attempt, partition }),
        ...slotChange(
          taskRecorded({
            partition,
            message: {
              table: null,
              path: file(partition),
              rows: 1,
              bytes: 800,
            },
            rows: 1,
            bytes: 8,
            milliseconds: 5,
            attemptNumber: 0,
            writerId: `writer of ${partition}`,
            recordedAt: Date.now(),
          }),
        ).set,
      }),
    },
  }));
  for (let i = 0; i < items.length; i += AT_ONCE) {
    const request = { RequestItems: { [table]: items.slice(i, i + AT_ONCE) } };
    const { UnprocessedItems = {} } = await dynamodb.send(new BatchWriteItemCommand(request));
    expect(UnprocessedItems).toEqual({});
  }
}

const upTo = (end: number) => Array.from({ length: end }, (_, partition) => partition);

describe("a batch of 10,000 partitions", () => {
  it("A batch of 10,000 partitions fits the memory, time and payloads of its functions", async () => {
    control.available = PARTITIONS;
    control.perPartition = 1;
    const { tableName, ledger } = await newLedger();
    const { location } = await newStore();
    const bucket = location.split("/")[2] ?? "";
    const env = variables(tableName, bucket);
    const event = { input: { trigger: "once" }, execution: EXECUTION };
    const store = new S3Store({ client: s3, bucket, prefix: "numbers", runtime });
    const entries = async ({ items }: Work) => {
      const bytes = (await store.get(items?.key.replace("numbers/", "") ?? "")) ?? new Uint8Array();
      return { count: (JSON.parse(Buffer.from(bytes).toString()) as unknown[]).length, bytes: bytes.length };
    };

    const planned = await run<Work>("plan", event, env);
    expect(planned.answer).toMatchObject({ next: "WriteDistributed", todo: [] });
    expect(await entries(planned.answer)).toMatchObject({ count: PARTITIONS });

    // Half of the tasks are recorded, as after an execution that was stopped in the middle.
    const half = upTo(PARTITIONS / 2);
    await record(tableName, planned.answer, half, store);
    const resumed = await run<Work>("plan", event, env);
    expect(resumed.answer).toMatchObject({ next: "WriteDistributed", todo: [] });
    expect(await entries(resumed.answer)).toMatchObject({ count: PARTITIONS / 2 });

    await record(tableName, resumed.answer, upTo(PARTITIONS).slice(half.length), store);
    const written = { ...resumed.answer, failed: 0, killed: null };
    const finalized = await run<Finalized>("finalize", written, env);
    expect(finalized.answer).toMatchObject({ next: "Done", batch: { state: "committed", rows: PARTITIONS } });
    expect(await ledger.head("numbers")).toMatchObject({
      offset: { n: PARTITIONS },
      lastCommittedBatchId: 0,
    });
    expect(await Array.fromAsync(liveFiles(store.at("table")))).toHaveLength(PARTITIONS);

    for (const [step, { seconds, mebibytes, answer }] of Object.entries({ planned, resumed, finalized })) {
      const bytes = JSON.stringify(answer).length;
      console.log(
        `10,000 partitions ${step}: ${seconds.toFixed(1)} s, at most ${Math.round(mebibytes)} MiB, answer of ${bytes} bytes`,
      );
      expect(mebibytes, step).toBeLessThan(MEMORY_MIB);
      expect(seconds, step).toBeLessThan(MAX_SECONDS);
      expect(bytes, step).toBeLessThan(MAX_PAYLOAD);
    }
    expect(JSON.stringify(written).length).toBeLessThan(MAX_PAYLOAD);
  });
});
