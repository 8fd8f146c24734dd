import { randomUUID } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import {
  CloudFormationClient,
  CreateStackCommand,
  DeleteStackCommand,
  waitUntilStackCreateComplete,
} from "@aws-sdk/client-cloudformation";
import { CreateFunctionCommand, DeleteFunctionCommand, LambdaClient } from "@aws-sdk/client-lambda";
import {
  CreateStateMachineCommand,
  DeleteStateMachineCommand,
  DescribeExecutionCommand,
  SFNClient,
  type StateMachineType,
} from "@aws-sdk/client-sfn";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runtime } from "../../local/home.ts";
import { fenceOf } from "../../shared/engine/acquire.ts";
import type { Batch, Fence, Ledger } from "../../shared/engine/ports/ledger.ts";
import { DynamoDbLedger } from "../../shared/platform/aws/dynamodb-ledger.ts";
import { millrace, type Running, startMillrace } from "../support/process.ts";
import { dynamodb, newLedger } from "./clients.ts";
import { zip } from "./kit/zip.ts";

/**
 * Tests of the `millrace` command on deployed pipelines. The tests write the records that the
 * functions would write to the ledger.
 */

const OWNER = { id: "execution-1", description: "execution 1" };
const ROLE = "arn:aws:iam::000000000000:role/operate";

async function acquire(ledger: Ledger, pipeline: string, leaseMilliseconds = 1): Promise<Fence> {
  const now = Date.now();
  const request = { pipeline, owner: OWNER, now, leaseMilliseconds, newIncarnation: "life-1" };
  const { head } = await ledger.acquire(request);
  return fenceOf(head);
}

async function planBatch(ledger: Ledger, fence: Fence, batchId: number): Promise<Batch> {
  const batch = await ledger.plan(fence, {
    incarnation: "life-1",
    batchId,
    start: { n: batchId * 10 },
    end: { n: (batchId + 1) * 10 },
    partitionsKey: "partitions.json",
    tasks: 2,
    schema: "c2NoZW1h",
    now: Date.now(),
  });
  const task = { message: null, bytes: 40, milliseconds: 12, attemptNumber: 0, recordedAt: Date.now() };
  await ledger.recordTask(
    { ...batch, partition: 0 },
    { ...task, partition: 0, rows: 5, writerId: `writer of ${batchId}` },
  );
  return batch;
}

const ERROR = {
  code: "HTTP_STATUS",
  message: "GET … answered 500",
  where: { partition: 1 },
  hint: "Ask who runs it.",
};

async function endBatch(
  ledger: Ledger,
  fence: Fence,
  batch: Batch,
  to: "committed" | "aborted",
): Promise<void> {
  const decision =
    to === "committed" ? ({ to: "committing" } as const) : ({ to: "aborting", error: ERROR } as const);
  const decided = await ledger.decide(fence, batch, decision);
  await ledger.finish(fence, decided, { to, progress: { rows: 10, bytes: 80 }, now: Date.now() });
}

/** Commits batches 0 and 1, and then releases the lease. */
async function runTwoBatches(ledger: Ledger, pipeline: string): Promise<void> {
  const fence = await acquire(ledger, pipeline);
  for (const batchId of [0, 1])
    await endBatch(ledger, fence, await planBatch(ledger, fence, batchId), "committed");
  await ledger.release(fence);
}

async function printed(running: Running, text: string): Promise<void> {
  for (let i = 0; i < 2000 && !running.stderr().includes(text); i++) await setTimeout(10);
  expect(running.stderr()).toContain(text);
}

describe("a ledger's table", () => {
  it("A ledger's table can be read and changed by hand like a home", async () => {
    const { ledger, tableName } = await newLedger();
    await runTwoBatches(ledger, "orders");
    const there = ["--table", tableName];
    const json = async (...args: string[]) => {
      const { code, stdout, stderr } = await millrace([...args, ...there, "--json"]);
      expect(code, stderr).toBe(0);
      return JSON.parse(stdout) as Record<string, unknown>;
    };

    expect(await json("status")).toMatchObject({ pipeline: "orders", state: "idle", offset: { n: 20 } });
    const { stdout } = await millrace(["batches", ...there]);
    expect(stdout).toMatch(/ 0 .* 0 +10 .*committed\n +1 .* 10 +20 .*committed\n$/);
    expect(await json("batch", "1")).toMatchObject({
      batchId: 1,
      rows: 10,
      tasks: [{ partition: 0, rows: 5 }],
    });

    await json("pause", "orders", "--by", "ann", "--why", "the source is ill");
    const paused = { by: "ann", why: "the source is ill" };
    expect(await json("status", "orders")).toMatchObject({ state: "paused", paused });
    const rewound = await json("rewind", "orders", "--to-batch", "1", "--yes", "--by", "ann");
    expect(rewound).toMatchObject({ from: { n: 20 }, to: { n: 10 }, readAgain: [1], nextBatchId: 2 });
    expect(await json("resume", "orders", "--by", "bob")).toMatchObject({ wasPaused: true });
    expect(await ledger.head("orders")).toMatchObject({ offset: { n: 10 }, nextBatchId: 2 });
    expect((await ledger.journal("orders", { limit: 9 })).map(({ action, by }) => [action, by])).toEqual([
      ["resume", "bob"],
      ["rewind", "ann"],
      ["pause", "ann"],
    ]);

    const held = await acquire(ledger, "orders", 600_000);
    const refused = await millrace(["rewind", "orders", "--to-batch", "0", "--yes", ...there]);
    expect(refused.stderr).toContain('LEASE_HELD: pipeline "orders" is being run by execution 1');
    expect(refused.code).toBe(3);
    expect(await json("unlock", "orders", "--yes")).toMatchObject({ holder: { owner: OWNER } });
    expect(await ledger.head("orders")).toMatchObject({ epoch: expect.any(Number) as number });
    expect((await ledger.head("orders"))?.epoch).toBeGreaterThan(held.epoch);
    expect(await ledger.head("orders")).not.toHaveProperty("lease");
  });

  it("A missing table of a ledger is reported", async () => {
    const { code, stderr } = await millrace(["status", "--table", "nowhere"]);
    expect(stderr).toContain("error LEDGER_FAILED: DynamoDB failed: ResourceNotFoundException");
    expect(code).toBe(1);
  });
});

describe("a stack", () => {
  const cloudFormation = new CloudFormationClient({});
  const sfn = new SFNClient({});
  const lambda = new LambdaClient({});
  const id = randomUUID().slice(0, 8);
  const stack = `operate-${id}`;
  const vacuumFunction = `vacuum-${id}`;
  const stateMachines = new Map<string, string>();
  const there = ["--stack", stack];
  let ledger: Ledger;

  async function createStateMachine(
    name: string,
    states: object,
    type: StateMachineType = "STANDARD",
  ): Promise<void> {
    const definition = JSON.stringify({ StartAt: "Work", States: states });
    const machine = { name: `${name}-${id}`, definition, roleArn: ROLE, type };
    const { stateMachineArn } = await sfn.send(new CreateStateMachineCommand(machine));
    stateMachines.set(name, stateMachineArn ?? "");
  }

  beforeAll(async () => {
    const wait = { Type: "Wait", Seconds: 4 };
    await createStateMachine("orders", { Work: { ...wait, End: true } });
    await createStateMachine("clicks", {
      Work: { ...wait, Next: "Broken" },
      Broken: { Type: "Fail", Error: "Millrace.Final", Cause: '{"errorMessage":"it is broken"}' },
    });
    await createStateMachine("refused", {
      Work: { Type: "Pass", Result: { next: "Done", why: "another run has the pipeline" }, End: true },
    });
    await createStateMachine("views", { Work: { Type: "Pass", End: true } }, "EXPRESS");
    await createStateMachine("relayed", {
      Work: {
        Type: "Task",
        QueryLanguage: "JSONata",
        Resource: "arn:aws:states:::states:startExecution",
        Arguments: { StateMachineArn: stateMachines.get("orders"), Input: {} },
        Output: '{% { "next": "Continue", "execution": $states.result.ExecutionArn } %}',
        End: true,
      },
    });
    const source = `export const handler = async (event) => {
      if (event.olderThan === 0) throw new RangeError("too young");
      return { staged: { files: 3, bytes: 2048 }, planned: { files: event.dryRun ? 0 : 1, bytes: 10 } };
    };`;
    await lambda.send(
      new CreateFunctionCommand({
        FunctionName: vacuumFunction,
        Runtime: "nodejs22.x",
        Role: ROLE,
        Handler: "index.handler",
        Code: { ZipFile: zip({ "index.mjs": source }) },
      }),
    );
    const tableName = `ledger-${id}`;
    const output = ([pipeline, stateMachine]: readonly [string, string]) => {
      const places = { table: tableName, bucket: "lake", prefix: pipeline };
      const parts = { millrace: 1, pipeline, ...places, stateMachine, vacuum: vacuumFunction };
      return [pipeline, { Value: JSON.stringify(parts) }];
    };
    const template = {
      Resources: {
        Ledger: {
          Type: "AWS::DynamoDB::Table",
          Properties: {
            TableName: tableName,
            BillingMode: "PAY_PER_REQUEST",
            AttributeDefinitions: ["pk", "sk"].map((name) => ({ AttributeName: name, AttributeType: "S" })),
            KeySchema: [
              { AttributeName: "pk", KeyType: "HASH" },
              { AttributeName: "sk", KeyType: "RANGE" },
            ],
          },
        },
      },
      Outputs: {
        Other: { Value: "not of Millrace" },
        ...Object.fromEntries([...stateMachines].map(output)),
      },
    };
    const TemplateBody = JSON.stringify(template);
    await cloudFormation.send(new CreateStackCommand({ StackName: stack, TemplateBody }));
    await waitUntilStackCreateComplete(
      { client: cloudFormation, maxWaitTime: 60, minDelay: 1, maxDelay: 2 },
      { StackName: stack },
    );
    ledger = new DynamoDbLedger({
      client: dynamodb,
      tableName: `ledger-${id}`,
      runtime,
    });
  });

  afterAll(async () => {
    await cloudFormation.send(new DeleteStackCommand({ StackName: stack }));
    await lambda.send(new DeleteFunctionCommand({ FunctionName: vacuumFunction }));
    for (const stateMachineArn of stateMachines.values())
      await sfn.send(new DeleteStateMachineCommand({ stateMachineArn }));
  });

  it("A stack has the pipelines of its outputs, also those that have not run yet", async () => {
    const { code, stdout } = await millrace(["status", ...there]);
    expect(stdout).toMatch(
      /^clicks: new\n[\s\S]*^orders: new\n[\s\S]*^refused: new\n[\s\S]*^relayed: new\n[\s\S]*^views: new\n/m,
    );
    expect(code).toBe(0);
    const several = await millrace(["run", ...there]);
    expect(several.stderr).toContain(
      `there are several pipelines in stack ${stack}: clicks, orders, refused, relayed, views`,
    );
    expect(several.code).toBe(2);
    const paused = await millrace(["pause", "orders", ...there]);
    expect(paused.stderr).toContain("error PIPELINE_NOT_FOUND");
    expect(paused.code).toBe(2);
  });

  it("A missing stack is reported, with exit code 2", async () => {
    const { code, stderr } = await millrace(["status", "--stack", "nowhere"]);
    expect(stderr).toContain('error STACK_NOT_FOUND: there is no stack "nowhere"');
    expect(code).toBe(2);
  });

  it("A run of a stack starts an execution and prints its batches as they end", async () => {
    const running = startMillrace(["run", "orders", ...there, "--available-now"]);
    await printed(running, "orders (availableNow) in stack");
    const fence = await acquire(ledger, "orders");
    const batch = await planBatch(ledger, fence, 0);
    await printed(running, "batch 0: 0 → 10, 2 partitions to write");
    await endBatch(ledger, fence, batch, "committed");
    await endBatch(ledger, fence, await planBatch(ledger, fence, 1), "committed");
    await ledger.release(fence);
    const { code, stdout, stderr } = await running.ended;
    expect(stderr).toContain("batch 0 committed: 10 rows");
    expect(stderr).toContain("batch 1 committed: 10 rows");
    expect(stdout).toMatch(/ 0 .* 0 +10 .*committed\n +1 .* 10 +20 .*committed\n$/);
    expect(code).toBe(0);
    const executionArn = /execution (\S+)/.exec(stderr)?.[1];
    const { input } = await sfn.send(new DescribeExecutionCommand({ executionArn }));
    expect(JSON.parse(input ?? "")).toEqual({ reason: "run", trigger: "availableNow" });
  });

  it("Ctrl-C ends only the output of a run of a stack, and its execution continues", async () => {
    const running = startMillrace(["run", "orders", ...there]);
    await printed(running, "orders (deployed) in stack");
    running.process.kill("SIGINT");
    const { code, stderr } = await running.ended;
    expect(code).toBe(130);
    const executionArn = /no longer following; the execution goes on: (\S+)/.exec(stderr)?.[1];
    const { status, input } = await sfn.send(new DescribeExecutionCommand({ executionArn }));
    expect(status).toBe("RUNNING");
    expect(JSON.parse(input ?? "")).toEqual({ reason: "run" });
  });

  it("A run of a stack fails with the error of an aborted batch, or with the execution's own", async () => {
    const running = startMillrace(["run", "clicks", ...there]);
    await printed(running, "clicks (deployed) in stack");
    const fence = await acquire(ledger, "clicks");
    await endBatch(ledger, fence, await planBatch(ledger, fence, 0), "aborted");
    const aborted = await running.ended;
    expect(aborted.stderr).toContain("batch 0 aborted");
    expect(aborted.stderr).toContain("error HTTP_STATUS: GET … answered 500");
    expect(aborted.stderr).toContain("Ask who runs it.");
    expect(aborted.code).toBe(1);

    const failed = await millrace(["replay", "clicks", ...there]);
    expect(failed.stderr).toContain(
      "error EXECUTION_FAILED: the execution failed: FAILED: Millrace.Final: it is broken",
    );
    expect(failed.stderr).not.toContain("nothing new");
    expect(failed.code).toBe(1);
    const executionArn = /execution (arn\S+)/.exec(failed.stderr)?.[1];
    const { input } = await sfn.send(new DescribeExecutionCommand({ executionArn }));
    expect(JSON.parse(input ?? "")).toEqual({ reason: "replay", trigger: "once" });
  });

  it("A run of a stack whose execution cannot be described is followed by its lease", async () => {
    const running = startMillrace(["run", "views", ...there, "--json"]);
    await setTimeout(2500);
    const fence = await acquire(ledger, "views", 60_000);
    await endBatch(ledger, fence, await planBatch(ledger, fence, 0), "committed");
    await ledger.release(fence);
    const { code, stdout } = await running.ended;
    const events = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { type: string });
    // The run may end before the command asks for progress, so progress events are optional.
    const types = events.map(({ type }) => type).filter((type) => type !== "progress");
    expect(types).toEqual(["started", "planned", "partition", "batch", "ended"]);
    expect(code).toBe(0);
  });

  it("A run of a stack is followed into the execution that continues it", async () => {
    const running = startMillrace(["run", "relayed", ...there]);
    await printed(running, "goes on in arn:");
    const fence = await acquire(ledger, "relayed");
    await endBatch(ledger, fence, await planBatch(ledger, fence, 0), "committed");
    await ledger.release(fence);
    const { code, stderr } = await running.ended;
    expect(stderr).toContain(
      `goes on in ${stateMachines.get("orders")?.replace(":stateMachine:", ":execution:")}`,
    );
    expect(stderr).toContain("batch 0 committed: 10 rows");
    expect(code).toBe(0);
  });

  it("A run of a stack whose execution found another run at work exits with 3", async () => {
    const { code, stderr } = await millrace(["run", "refused", ...there]);
    expect(stderr).toContain('error LEASE_HELD: another run has pipeline "refused"');
    expect(code).toBe(3);
  });

  it("A stack has nothing to replay if no batch is open", async () => {
    const { code, stderr } = await millrace(["replay", "orders", ...there]);
    expect(stderr).toContain("error BATCH_NOT_OPEN");
    expect(code).toBe(2);
  });

  it("A run of a stack reports an execution that was paused", async () => {
    await millrace(["pause", "orders", ...there, "--by", "ann"]);
    const { code, stderr } = await millrace(["run", "orders", ...there]);
    expect(stderr).toContain("paused by ann at");
    expect(code).toBe(0);
  });

  it("A stack is vacuumed by its own functions", async () => {
    const done = await millrace(["vacuum", "orders", ...there]);
    expect(done.stdout).toBe(
      "orders: removed 3 staged files (2.0 KiB) that no commit names, 1 plans and messages of closed batches\n",
    );
    const all = await millrace(["vacuum", ...there, "--dry-run", "--json"]);
    expect(all.stdout.trimEnd().split("\n")).toHaveLength(5);
    expect(all.stdout).toContain(
      '{"pipeline":"views","dryRun":true,"staged":{"files":3,"bytes":2048},"planned":{"files":0',
    );
    const failed = await millrace(["vacuum", "orders", ...there, "--older-than", "0s"]);
    expect(failed.stderr).toContain("error FUNCTION_FAILED");
    expect(failed.stderr).toContain("RangeError: too young");
    expect(failed.code).toBe(1);
  });
});
