import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Feed, startFeed } from "../../examples/earthquakes/feed.ts";
import { type DeployedPipeline, deployed, FEED_PORT, transitions } from "./deployed.ts";
import { request, send } from "./kit/request.ts";

/**
 * Tests of the example that infra/app.ts deploys: its schedule, its rows, its logs and its metrics.
 */

const NAME = "MillraceExample-Earthquakes";
let feed: Feed;
let earthquakes: DeployedPipeline;

beforeAll(async () => {
  feed = await startFeed({ port: FEED_PORT });
  earthquakes = (await deployed("MillraceExample")).pipeline("earthquakes");
});

afterAll(async () => {
  await feed.close();
});

/** Returns the ids in the file that the feed serves. It reads the file directly. */
function published(): string[] {
  const path = new URL("../../node_modules/vega-datasets/data/earthquakes.json", import.meta.url);
  return (JSON.parse(readFileSync(path, "utf8")) as { features: { id: string }[] }).features.map(
    ({ id }) => id,
  );
}

async function landed(): Promise<string[]> {
  return (await earthquakes.rows()).map((row) => String(row["id"]));
}

interface Schedule {
  readonly State: string;
  readonly ScheduleExpression: string;
  readonly Target: { readonly Arn: string; readonly RoleArn: string; readonly Input: string };
}

async function schedule(name: string): Promise<Schedule> {
  return (await (await send("scheduler", "GET", `/schedules/${name}?groupName=default`)).json()) as Schedule;
}

/** Returns the actions that the policies of a role allow, each with its resources. */
async function allowed(roleArn: string): Promise<readonly (readonly [action: unknown, resource: unknown])[]> {
  const query = async (fields: Record<string, string>) => {
    const path = `/?${new URLSearchParams({ Version: "2010-05-08", ...fields })}`;
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    return await (await send("iam", "POST", path, undefined, headers)).text();
  };
  const RoleName = roleArn.split("/").at(-1) ?? "";
  const names = await query({ Action: "ListRolePolicies", RoleName });
  const statements = [];
  for (const [, PolicyName = ""] of names.matchAll(/<member>([^<]+)<\/member>/g)) {
    const policy = await query({ Action: "GetRolePolicy", RoleName, PolicyName });
    const document = decodeURIComponent(
      /<PolicyDocument>([\s\S]*)<\/PolicyDocument>/.exec(policy)?.[1] ?? "",
    );
    const { Statement } = JSON.parse(document.replaceAll("&quot;", '"')) as {
      Statement: { Action: unknown; Resource: unknown }[];
    };
    statements.push(...Statement.map(({ Action, Resource }) => [Action, Resource] as const));
  }
  return statements;
}

describe("the example's schedule", () => {
  it("The example's schedule starts its state machine each minute, by a role that may do that", async () => {
    const { State, ScheduleExpression, Target } = await schedule(`${NAME}-start`);
    expect({ State, ScheduleExpression }).toEqual({ State: "ENABLED", ScheduleExpression: "rate(1 minute)" });
    expect(Target.Arn).toBe(earthquakes.target.stateMachine);
    expect(JSON.parse(Target.Input)).toEqual({ reason: "schedule" });
    expect(await allowed(Target.RoleArn)).toContainEqual(["states:StartExecution", Target.Arn]);
  });

  it("The example's schedule calls vacuum once a day", async () => {
    const { State, ScheduleExpression, Target } = await schedule(`${NAME}-vacuum`);
    expect({ State, ScheduleExpression }).toEqual({ State: "ENABLED", ScheduleExpression: "rate(1 day)" });
    expect(Target.Arn).toMatch(new RegExp(`:function:${earthquakes.target.vacuum}$`));
    expect(JSON.parse(Target.Input)).toEqual({});
    expect(await allowed(Target.RoleArn)).toContainEqual(["lambda:InvokeFunction", Target.Arn]);
  });

  it("The example's schedule may fire twice: one execution takes all 1,707 earthquakes, the other ends well", async () => {
    const { Target } = await schedule(`${NAME}-start`);
    const fire = async () => {
      const body = { stateMachineArn: Target.Arn, input: Target.Input };
      return String((await request("states", "AWSStepFunctions.StartExecution", body))["executionArn"]);
    };
    const arns = await Promise.all([fire(), fire()]);
    const executions = await Promise.all(arns.map((arn) => earthquakes.ended(arn)));
    expect(executions.map(({ status }) => status)).toEqual(["SUCCEEDED", "SUCCEEDED"]);
    expect(executions.map(({ output }) => (output as { why: string }).why).sort()).toEqual([
      "another run has the pipeline",
      "nothing new",
    ]);
    const histories = await Promise.all(arns.map((arn) => earthquakes.history(arn)));
    console.log(`state transitions of the example's 8 batches: ${Math.max(...histories.map(transitions))}`);
    expect((await landed()).sort()).toEqual(published().sort());
  });
});

describe("a second run of the example", () => {
  it("A second run of the example does nothing", async () => {
    const before = await earthquakes.ledger.head("earthquakes");
    const execution = await earthquakes.execute();
    expect(execution).toMatchObject({ status: "SUCCEEDED", output: { next: "Done", why: "nothing new" } });
    expect(transitions(await earthquakes.history(execution.arn))).toBe(3);
    const { epoch: _before, lastIdleAt: idleBefore = 0, ...kept } = before ?? {};
    const after = await earthquakes.ledger.head("earthquakes");
    const { epoch: _after, lastIdleAt: idleAfter, ...now } = after ?? {};
    expect(idleAfter).toBeGreaterThan(idleBefore);
    expect(now).toEqual(kept);
    expect(now).toMatchObject({ nextBatchId: 8, lastCommittedBatchId: 7 });
    expect(await landed()).toHaveLength(1707);
  });
});

describe("the log of the example's functions", () => {
  // The log does not have the lines in the order of their times, but by execution environment.
  const parsed = (lines: readonly string[]) =>
    lines.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line) as Record<string, unknown>);

  it("The log of the example's functions is JSON that names pipeline, batch and attempt", async () => {
    const finalized = parsed(await earthquakes.logs("Finalize")).filter(
      ({ message }) => message === "committed",
    );
    expect(finalized.map(({ batchId }) => batchId).sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    for (const line of finalized)
      expect(line).toMatchObject({ level: "INFO", service: "earthquakes", attempt: 1, state: "committed" });
    expect(finalized.reduce((rows, line) => rows + Number(line["rows"]), 0)).toBe(1707);

    const written = parsed(await earthquakes.logs("Write")).filter(({ message }) => message === "written");
    expect(written).toHaveLength(29);
    expect(written.find(({ batchId }) => batchId === 0)).toMatchObject({
      attempt: 1,
      attemptNumber: 0,
      won: true,
    });

    const planned = parsed(await earthquakes.logs("Plan")).filter(({ message }) => message === "planned");
    expect(planned.find(({ batchId }) => batchId === 0)).toMatchObject({
      partitions: 4,
      todo: 4,
      resumed: false,
      next: "WriteInline",
    });
  });

  it("The log has metrics that CloudWatch reads, in one namespace with the pipeline as dimension", async () => {
    const metrics = parsed(await earthquakes.logs("Finalize")).filter((line) => "_aws" in line);
    expect(metrics).toHaveLength(8);
    const emf = metrics[0]?.["_aws"] as
      | { CloudWatchMetrics: { Metrics: { Name: string; Unit: string }[] }[] }
      | undefined;
    expect(emf?.CloudWatchMetrics).toMatchObject([{ Namespace: "Millrace", Dimensions: [["service"]] }]);
    expect(emf?.CloudWatchMetrics[0]?.Metrics.map(({ Name }) => Name)).toEqual([
      "BatchesCommitted",
      "BatchesAborted",
      "BatchDuration",
      "BatchAge",
      "Progress",
      "Rows",
      "Bytes",
      "Partitions",
    ]);
    for (const line of metrics)
      expect(line).toMatchObject({ service: "earthquakes", BatchesCommitted: 1, BatchesAborted: 0 });
    expect(metrics.reduce((partitions, line) => partitions + Number(line["Partitions"]), 0)).toBe(29);
    expect(metrics.reduce((rows, line) => rows + Number(line["Rows"]), 0)).toBe(1707);
  });

  it("The log of the example's functions has no content of the rows", async () => {
    const place = String((await earthquakes.rows())[0]?.["place"]);
    for (const step of ["Plan", "Write", "Finalize"] as const)
      expect((await earthquakes.logs(step)).join("")).not.toContain(place);
  });
});
