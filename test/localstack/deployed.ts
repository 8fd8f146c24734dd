import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout } from "node:timers/promises";
import { CloudFormationClient, DescribeStacksCommand } from "@aws-sdk/client-cloudformation";
import { DeleteItemCommand, paginateScan } from "@aws-sdk/client-dynamodb";
import { InvokeCommand, LambdaClient } from "@aws-sdk/client-lambda";
import {
  DescribeExecutionCommand,
  type ExecutionListItem,
  type ExecutionStatus,
  type HistoryEvent,
  paginateGetExecutionHistory,
  paginateListExecutions,
  SFNClient,
  StartExecutionCommand,
  StopExecutionCommand,
} from "@aws-sdk/client-sfn";
import { runtime } from "../../local/home.ts";
import { DynamoDbLedger } from "../../shared/platform/aws/dynamodb-ledger.ts";
import { S3Store } from "../../shared/platform/aws/s3-store.ts";
import { temporaryFolder } from "../support/folder.ts";
import { PACKAGE } from "../support/package.ts";
import { documentedReader, hasPython, runPython } from "../support/python.ts";
import { ROOT } from "../support/root.ts";
import { dynamodb, s3 } from "./clients.ts";
import { request } from "./kit/request.ts";

/**
 * Stacks that `cdk` deploys, and their pipelines. Tests run the pipelines and read the tables with
 * an independent reader.
 */

const cloudFormation = new CloudFormationClient({});
const sfn = new SFNClient({});
const lambda = new LambdaClient({});
const EXECUTION_MILLISECONDS = 120_000;
const POLL_MILLISECONDS = 100;
/** Path of the folder of this test run. */
const RUN = process.env["LOCALSTACK_RUN"] ?? "";

/** The port of the example's feed. It is fixed, because the deployed functions know it. */
export const FEED_PORT = 4612;

const STACKS = {
  MillraceExample: "infra/app.ts",
  MillraceTests: "test/localstack/app.ts",
} as const;

/** Deploys the stacks, unless an earlier test file of this test run has done so. */
export async function deployed(stack: keyof typeof STACKS): Promise<DeployedStack> {
  const there = await find(stack);
  if (there !== undefined) return there;
  const startedAt = performance.now();
  await cdk(["bootstrap"]);
  // The stacks are deployed at the same time, because each deployment mostly waits for LocalStack.
  await Promise.all(Object.entries(STACKS).map(([name, app]) => deploy(name, app)));
  console.log(`deployed in ${Math.round((performance.now() - startedAt) / 1000)} s`);
  const made = await find(stack);
  if (made === undefined) throw new Error(`${stack} was deployed and is not there`);
  return made;
}

/** Deploys a stack again, with other values of the environment variables that its app reads. */
export async function deployAgain(stack: keyof typeof STACKS, env: Record<string, string>): Promise<void> {
  await deploy(stack, STACKS[stack], env);
}

export class DeployedStack {
  /** Pipelines by name. */
  readonly #pipelines: ReadonlyMap<string, DeployedPipeline>;
  /** The folder with the stack's templates and bundles. */
  readonly assembly: string;

  constructor(assembly: string, pipelines: readonly DeployedPipeline[]) {
    this.assembly = assembly;
    this.#pipelines = new Map(pipelines.map((pipeline) => [pipeline.target.pipeline, pipeline]));
  }

  pipeline(name: string): DeployedPipeline {
    const found = this.#pipelines.get(name);
    if (found === undefined) throw new Error(`the stack has no pipeline "${name}"`);
    return found;
  }
}

/**
 * Returns the stack if this test run has deployed it, otherwise `undefined`. LocalStack may still
 * have the stack of an earlier run.
 */
async function find(stack: string): Promise<DeployedStack | undefined> {
  try {
    const { Stacks = [] } = await cloudFormation.send(new DescribeStacksCommand({ StackName: stack }));
    if (!Stacks[0]?.Tags?.some(({ Key, Value }) => Key === "run" && Value === RUN)) return undefined;
    const targets = (Stacks[0]?.Outputs ?? []).map(
      ({ OutputValue = "" }) => JSON.parse(OutputValue) as Target,
    );
    return new DeployedStack(
      assemblyOf(stack),
      targets.map((target) => new DeployedPipeline(target)),
    );
  } catch (error) {
    // CloudFormation reports a missing stack with this error.
    if (error instanceof Error && error.name === "ValidationError") return undefined;
    throw error;
  }
}

async function deploy(stack: string, app: string, env: Record<string, string> = {}): Promise<void> {
  const how = ["--require-approval=never", `--tags=run=${RUN}`];
  await cdk(["deploy", stack, `--app=node ${app}`, `--output=${assemblyOf(stack)}`, ...how], env);
}

function assemblyOf(stack: string): string {
  return join(RUN, stack);
}

async function cdk(args: readonly string[], env: Record<string, string> = {}): Promise<void> {
  const child = spawn(join(ROOT, "node_modules/.bin/cdk"), [...args, "--no-notices"], {
    cwd: PACKAGE,
    env: { ...process.env, CI: "1", EARTHQUAKES_URL: `http://127.0.0.1:${FEED_PORT}/query`, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  if (child.exitCode !== 0)
    throw new Error(`cdk ${args.join(" ")} ended with ${child.exitCode}:\n${out}${err}`);
}

/** The output of the stack that describes one pipeline. */
export interface Target {
  readonly millrace?: number;
  readonly pipeline: string;
  readonly table: string;
  readonly bucket: string;
  readonly prefix: string;
  readonly stateMachine: string;
  readonly vacuum: string;
}

/** An execution that has ended. */
export interface Execution {
  readonly arn: string;
  readonly status: ExecutionStatus | undefined;
  readonly output: unknown;
  readonly error: string | undefined;
  readonly cause: string | undefined;
}

/** A row of the table, as pyarrow returns it. */
export type TableRow = Readonly<Record<string, unknown>>;

export class DeployedPipeline {
  readonly target: Target;
  readonly ledger: DynamoDbLedger;
  readonly store: S3Store;

  constructor(target: Target) {
    const { table, bucket, prefix } = target;
    this.target = target;
    const edge = { runtime };
    this.ledger = new DynamoDbLedger({ client: dynamodb, tableName: table, ...edge });
    this.store = new S3Store({ client: s3, bucket, prefix, ...edge });
  }

  async start(input: unknown = { reason: "test" }): Promise<string> {
    const { stateMachine } = this.target;
    const { executionArn } = await sfn.send(
      new StartExecutionCommand({ stateMachineArn: stateMachine, input: JSON.stringify(input) }),
    );
    return executionArn ?? "";
  }

  /** Waits until an execution has ended. */
  async ended(arn: string): Promise<Execution> {
    return await until("the execution ended", async () => {
      const { status, output, error, cause } = await sfn.send(
        new DescribeExecutionCommand({ executionArn: arn }),
      );
      if (status === "RUNNING") return undefined;
      return { arn, status, output: output === undefined ? undefined : JSON.parse(output), error, cause };
    });
  }

  async execute(input?: unknown): Promise<Execution> {
    return await this.ended(await this.start(input));
  }

  async stop(arn: string): Promise<void> {
    await sfn.send(new StopExecutionCommand({ executionArn: arn }));
  }

  /** Returns all executions of the state machine, newest first. */
  async executions(): Promise<readonly ExecutionListItem[]> {
    const input = { stateMachineArn: this.target.stateMachine };
    const executions: ExecutionListItem[] = [];
    for await (const page of paginateListExecutions({ client: sfn }, input))
      executions.push(...(page.executions ?? []));
    return executions;
  }

  async history(arn: string): Promise<readonly HistoryEvent[]> {
    const events: HistoryEvent[] = [];
    const input = { executionArn: arn, maxResults: 1000, includeExecutionData: true };
    for await (const page of paginateGetExecutionHistory({ client: sfn }, input))
      events.push(...(page.events ?? []));
    return events;
  }

  /** Calls the vacuum function. Returns its answer, even if the answer is an error. */
  async vacuum(event: object): Promise<unknown> {
    const { Payload } = await lambda.send(
      new InvokeCommand({ FunctionName: this.target.vacuum, Payload: JSON.stringify(event) }),
    );
    return JSON.parse(Payload?.transformToString() ?? "null") as unknown;
  }

  /** Returns all lines in the log of a function. */
  async logs(step: "Plan" | "Write" | "Finalize" | "Vacuum"): Promise<readonly string[]> {
    const logGroupName = `/aws/lambda/${this.target.vacuum.replace(/-Vacuum$/, "")}-${step}`;
    const lines: string[] = [];
    let nextToken: unknown;
    do {
      const page = await request("logs", "Logs_20140328.FilterLogEvents", {
        logGroupName,
        ...(nextToken === undefined ? {} : { nextToken }),
      });
      for (const event of (page["events"] ?? []) as { message: string }[]) lines.push(event.message);
      nextToken = page["nextToken"];
    } while (nextToken !== undefined);
    return lines;
  }

  /**
   * Returns the rows of the table. pyarrow reads them from a copy, as docs/arrow-table.md
   * describes.
   */
  async rows(): Promise<readonly TableRow[]> {
    if (!hasPython) throw new Error("there is no Python with pyarrow: run node scripts/setup-python.ts");
    const folder = temporaryFolder();
    for (const key of await this.keys("table/")) {
      const path = join(folder, key);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, (await this.store.get(key)) ?? new Uint8Array());
    }
    return runPython<TableRow[]>(
      `${documentedReader()}
import sys
print(json.dumps(read_table(sys.argv[1]).to_pylist(), default=str))`,
      [join(folder, "table")],
    );
  }

  /** Returns the keys below a folder of the pipeline's store. */
  async keys(folder: string): Promise<readonly string[]> {
    return (await Array.fromAsync(this.store.list(folder))).map(({ key }) => key);
  }

  /** Returns the data files of the pipeline's current incarnation, committed or not. */
  async staged(): Promise<readonly string[]> {
    const { pipeline } = this.target;
    const head = await this.ledger.head(pipeline);
    return head === undefined ? [] : await this.keys(`table/data/${pipeline}/${head.incarnation}/`);
  }

  /** Returns all items of the pipeline in the ledger, as JSON text. */
  async items(): Promise<string> {
    return JSON.stringify(await Array.fromAsync(this.#items()));
  }

  /** Deletes the pipeline's records in the ledger and its objects in the store. */
  async forget(): Promise<void> {
    for await (const { pk, sk } of this.#items()) {
      if (pk === undefined || sk === undefined) continue;
      await dynamodb.send(new DeleteItemCommand({ TableName: this.target.table, Key: { pk, sk } }));
    }
    const keys = await this.keys("");
    if (keys.length > 0) await this.store.delete(keys);
  }

  async *#items() {
    const { table, pipeline } = this.target;
    for await (const { Items = [] } of paginateScan(
      { client: dynamodb },
      { TableName: table, ConsistentRead: true },
    ))
      for (const item of Items) if (item["pk"]?.S?.split("#")[1] === pipeline) yield item;
  }
}

/**
 * Returns the number of states that an execution entered. Step Functions charges for this number.
 */
export function transitions(history: readonly HistoryEvent[]): number {
  return history.filter(({ type }) => type?.endsWith("StateEntered")).length;
}

/** Calls `ask` again and again until it returns a value. Throws if that takes too long. */
export async function until<T>(what: string, ask: () => Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + EXECUTION_MILLISECONDS;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (Date.now() > deadline) throw new Error(`it never came about that ${what}`);
    await setTimeout(POLL_MILLISECONDS);
  }
}
