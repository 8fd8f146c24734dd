import type { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import type { S3Client } from "@aws-sdk/client-s3";
import type { StepName } from "../../infra/folders.ts";
import { isAllowed } from "../infra/rights.ts";
import { Synthesized } from "../infra/synthesize.ts";

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

/** The requests that the handlers make, and what they need in the policy of their role. */
export class WatchedRequests {
  readonly #made = new Map<string, Need & { readonly step: StepName }>();
  #step: StepName = "Plan";

  constructor({ dynamodb, s3 }: { readonly dynamodb: DynamoDBClient; readonly s3: S3Client }) {
    for (const client of [dynamodb, s3]) this.#watch(client);
  }

  /** Makes a call as a function. */
  async as<T>(step: StepName, call: () => Promise<T>): Promise<T> {
    this.#step = step;
    return await call();
  }

  forget(): void {
    this.#made.clear();
  }

  /** Returns functions with the actions that they needed. */
  actions(): ReadonlySet<string> {
    return new Set([...this.#made.values()].map(({ step, action }) => `${step} ${action}`));
  }

  /** Returns the keys of the objects on which a function performed an action. */
  keysOf(by: StepName, performed: string): readonly string[] {
    const all = [...this.#made.values()].filter(({ step, action }) => step === by && action === performed);
    return all.flatMap(({ key }) => (key === undefined ? [] : [key]));
  }

  /** Returns the requests that IAM would refuse. */
  async refused(): Promise<readonly string[]> {
    const all: string[] = [];
    for (const { step: by, action, key, leadingKeys, prefix } of this.#made.values()) {
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

  #watch(client: DynamoDBClient | S3Client): void {
    (client.middlewareStack as DynamoDBClient["middlewareStack"]).add(
      (next, { commandName = "" }) =>
        async (args) => {
          for (const need of needsOf(commandName, args.input as unknown as Input)) {
            const step = this.#step;
            this.#made.set(JSON.stringify([step, need]), { step, ...need });
          }
          return await next(args);
        },
      { step: "initialize", name: "watch" },
    );
  }
}
