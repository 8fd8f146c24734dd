import type { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import type { S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { StepName } from "../../infra/folders.ts";
import type { Finalized, Work } from "../../shared/aws/state.ts";
import { isAllowed } from "../infra/rights.ts";
import { Synthesized } from "../infra/synthesize.ts";
import { Control } from "./control.ts";
import { EXECUTION, type Handlers, LAMBDA, loadHandlers } from "./handlers.ts";

/**
 * Tests that the policies that the construct gives the roles allow the requests of the handlers.
 * LocalStack allows every request, so an independent evaluator of IAM decides. Handlers that fail
 * are tested too.
 */

/** The action and the resource that a request needs in a policy. */
interface Need {
  readonly action: string;
  readonly key?: string;
  readonly leadingKeys?: string[];
  readonly prefix?: string;
}

type Input = Readonly<Record<string, unknown>>;

const TRANSACTED: Readonly<Record<string, string>> = {
  Put: "PutItem",
  Update: "UpdateItem",
  Delete: "DeleteItem",
  ConditionCheck: "ConditionCheckItem",
};
const PARTS = /^(CreateMultipartUpload|UploadPart|CompleteMultipartUpload)$/;

function partitionOf(input: Input): string {
  const { Key, Item, ExpressionAttributeValues } = input as Record<string, Record<string, { S?: string }>>;
  return (Key ?? Item)?.["pk"]?.S ?? ExpressionAttributeValues?.[":pk"]?.S ?? "";
}

function needsOf(command: string, input: Input): readonly Need[] {
  const name = command.replace(/Command$/, "");
  if (name === "TransactWriteItems") {
    return (input["TransactItems"] as Record<string, Input>[]).flatMap((write) =>
      Object.entries(write).map(([kind, request]) => ({
        action: `dynamodb:${TRANSACTED[kind]}`,
        leadingKeys: [partitionOf(request)],
      })),
    );
  }
  if ("TableName" in input) return [{ action: `dynamodb:${name}`, leadingKeys: [partitionOf(input)] }];
  if (name === "ListObjectsV2") return [{ action: "s3:ListBucket", prefix: String(input["Prefix"]) }];
  if (name === "ListMultipartUploads") return [{ action: "s3:ListBucketMultipartUploads" }];
  if (name === "DeleteObjects") {
    const { Objects } = input["Delete"] as { Objects: { Key: string }[] };
    return Objects.map(({ Key }) => ({ action: "s3:DeleteObject", key: Key }));
  }
  return [{ action: `s3:${PARTS.test(name) ? "PutObject" : name}`, key: String(input["Key"]) }];
}

const construct = new Synthesized({ pipelineName: "numbers" });
const resources = (step: StepName) => construct.statements(step).flatMap(({ Resource }) => Resource);
const BUCKET =
  resources("Write")
    .find((arn) => arn.startsWith("arn:aws:s3"))
    ?.split("/")[0] ?? "";
const TABLE = resources("Write").find((arn) => arn.includes(":table/")) ?? "";

let control: Control;
let handlers: Handlers;
let step: StepName = "Plan";
const made = new Map<string, Need & { readonly step: StepName }>();

function watch(client: DynamoDBClient | S3Client): void {
  (client.middlewareStack as DynamoDBClient["middlewareStack"]).add(
    (next, { commandName = "" }) =>
      async (args) => {
        for (const need of needsOf(commandName, args.input as unknown as Input))
          made.set(JSON.stringify([step, need]), { step, ...need });
        return await next(args);
      },
    { step: "initialize", name: "watch" },
  );
}

beforeAll(async () => {
  control = await Control.start();
  const loaded = await loadHandlers();
  handlers = loaded.handlers;
  watch(handlers.dynamodb);
  watch(handlers.s3);
});

beforeEach(() => made.clear());

afterAll(async () => {
  await control.close();
});

async function as<T>(name: StepName, call: () => Promise<T>): Promise<T> {
  step = name;
  return await call();
}

async function plan(): Promise<Work> {
  const planned = await as("Plan", () =>
    handlers.plan({ input: { trigger: "once" }, execution: EXECUTION }, LAMBDA),
  );
  if (planned.next === "Done") throw new Error("there is nothing to do");
  return planned;
}

/** Runs a batch. Its tasks may fail. */
async function batch(): Promise<Finalized> {
  const planned = await plan();
  let failed = 0;
  for (const partition of planned.todo)
    await as("Write", () =>
      handlers.write({ run: planned.run, partition, attemptNumber: 2 }, LAMBDA).catch(() => failed++),
    );
  return await as("Finalize", () => handlers.finalize({ ...planned, failed, killed: null }, LAMBDA));
}

/** Returns the requests that IAM would refuse. */
async function refused(): Promise<readonly string[]> {
  const all: string[] = [];
  for (const { step: by, action, key, leadingKeys, prefix } of made.values()) {
    const resource = leadingKeys === undefined ? (key === undefined ? BUCKET : `${BUCKET}/${key}`) : TABLE;
    const context = {
      ...(leadingKeys === undefined ? {} : { "dynamodb:LeadingKeys": leadingKeys }),
      ...(prefix === undefined ? {} : { "s3:prefix": prefix }),
    };
    if (!(await isAllowed(construct.statements(by), action, resource, context)))
      all.push(`${by}: ${action} ${leadingKeys ?? key ?? prefix ?? ""}`);
  }
  return all;
}

const actions = () => new Set([...made.values()].map(({ step: by, action }) => `${by} ${action}`));

describe("the roles of the construct", () => {
  it("The roles allow each request of a batch that commits, and of a run without new data", async () => {
    control.available = 8;
    expect(await batch()).toMatchObject({ next: "Done" });
    expect(
      await as("Plan", () => handlers.plan({ input: null, execution: EXECUTION }, LAMBDA)),
    ).toMatchObject({
      next: "Done",
      why: "nothing new",
    });
    expect(actions()).toContain("Finalize s3:ListBucket");
    expect(await refused()).toEqual([]);
  });

  it("The roles allow each request of a file that is uploaded in parts", async () => {
    control.available += 400_000;
    control.perPartition = 400_000;
    expect(await batch()).toMatchObject({ next: "Done" });
    control.perPartition = 2;
    expect(await refused()).toEqual([]);
  });

  it("The roles allow each request of an aborted batch, whose staged files are dropped, and of its replay", async () => {
    control.available += 8;
    control.deed = ({ call, partition }) =>
      call === "read" && partition === 1 ? "yield a bad row" : "go on";
    expect(await batch()).toMatchObject({ next: "Failed" });
    expect(actions()).toContain("Finalize s3:DeleteObject");
    control.deed = () => "go on";
    expect(await batch()).toMatchObject({ next: "Done" });
    expect(await refused()).toEqual([]);
  });

  it("The roles allow each request of a batch that is resumed with more tasks than run inline", async () => {
    control.available += 500;
    const planned = await plan();
    expect(planned.next).toBe("WriteDistributed");
    await as("Write", () => handlers.write({ run: planned.run, partition: 3, attemptNumber: 0 }, LAMBDA));
    const resumed = await plan();
    expect(resumed.items?.key).toContain("/todo-");
    // Some tasks are not recorded, so the batch is aborted.
    await as("Finalize", () => handlers.finalize({ ...resumed, failed: 1, killed: null }, LAMBDA));
    expect(await refused()).toEqual([]);
  });

  it("The roles allow each request of a vacuum", async () => {
    await as("Vacuum", () => handlers.vacuum({ olderThan: 0 }, LAMBDA));
    expect(actions()).toContain("Vacuum s3:DeleteObject");
    expect(actions()).toContain("Vacuum s3:ListBucketMultipartUploads");
    expect(await refused()).toEqual([]);
  });
});
