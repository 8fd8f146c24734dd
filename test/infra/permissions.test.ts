import { type IVpc, Vpc } from "aws-cdk-lib/aws-ec2";
import { describe, expect, it } from "vitest";
import type { StepName } from "../../infra/folders.ts";
import { PACKAGE } from "../support/package.ts";
import { isAllowed } from "./rights.ts";
import { ACCOUNT, REGION, type Statement, Synthesized } from "./synthesize.ts";

const synthesized = new Synthesized();
const STEPS: readonly StepName[] = ["Plan", "Write", "Finalize", "Vacuum"];
const all = (value: string | readonly string[]): readonly string[] =>
  typeof value === "string" ? [value] : value;

const bucket = String(
  synthesized
    .statements("Write")
    .flatMap(({ Resource }) => all(Resource))
    .find((arn) => arn.startsWith("arn:aws:s3")),
).split("/")[0];
const table = String(
  synthesized
    .statements("Write")
    .flatMap(({ Resource }) => all(Resource))
    .find((arn) => arn.includes(":table/")),
);

const may = (
  step: string,
  action: string,
  resource: string,
  context: Readonly<Record<string, string | string[]>> = {},
) => isAllowed(synthesized.statements(step), action, resource, context);

const item = (step: string, action: string, ...keys: string[]) =>
  may(step, `dynamodb:${action}`, table, { "dynamodb:LeadingKeys": keys });
const object = (step: string, action: string, key: string) => may(step, `s3:${action}`, `${bucket}/${key}`);

const TASKS = "T#orders#5a1c#000000000003#1";

describe("the role of Write", () => {
  it("The role of Write reads, puts and updates tasks of its own pipeline", async () => {
    expect(await item("Write", "GetItem", TASKS)).toBe(true);
    expect(await item("Write", "PutItem", TASKS)).toBe(true);
    expect(await item("Write", "UpdateItem", TASKS)).toBe(true);
    expect(await item("Write", "PutItem", `${TASKS}#P`)).toBe(true);
  });

  it.each(["UpdateItem", "PutItem", "GetItem", "DeleteItem", "Query"])(
    "The role of Write can change no head or batch: %s on P#orders is refused",
    async (action) => {
      expect(await item("Write", action, "P#orders")).toBe(false);
    },
  );

  it("The role of Write cannot delete or list tasks, touch other pipelines', or use both at once", async () => {
    expect(await item("Write", "UpdateItem", "T#orders2#5a1c#000000000003#1")).toBe(false);
    expect(await item("Write", "UpdateItem", TASKS, "P#orders")).toBe(false);
    expect(await item("Write", "DeleteItem", TASKS)).toBe(false);
    expect(await item("Write", "PutItem", "T#orders2#5a1c#000000000003#1")).toBe(false);
    expect(await item("Write", "PutItem", TASKS, "P#orders")).toBe(false);
    expect(await may("Write", "dynamodb:Scan", table)).toBe(false);
  });

  it.each([
    ["orders/table/data/orders/5a1c/000000000003-000001-1-0-x.arrow", true],
    ["orders/staging/000000000003-000001.parquet", true],
    ["orders/batches/000000000003/message-x.json", true],
    ["orders/batches/000000000003/failure-1-000001-x.json", true],
    ["orders/batches/000000000003/rows-x.arrow", true],
    ["orders/table/_log/00000000000000000003.json", false],
    ["orders/batches/000000000003/partitions-1-x.json", false],
    ["orders/other", false],
    ["returns/table/data/x.arrow", false],
    ["x.arrow", false],
  ])("The role of Write puts objects into staging only: %s %s", async (key, isAllowed) => {
    expect(await object("Write", "PutObject", key)).toBe(isAllowed);
  });

  it("The role of Write deletes only its own staged objects", async () => {
    expect(await object("Write", "DeleteObject", "orders/table/data/orders/5a1c/x.arrow")).toBe(true);
    expect(await object("Write", "DeleteObject", "orders/batches/000000000003/rows-x.arrow")).toBe(true);
    expect(await object("Write", "DeleteObject", "orders/table/_log/00000000000000000003.json")).toBe(false);
    expect(await object("Write", "DeleteObject", "orders/batches/000000000003/partitions-1-x.json")).toBe(
      false,
    );
  });
});

describe("the roles of an exchange", () => {
  const BATCH = "orders/batches/000000000003";
  const FILES = [
    [`${BATCH}/exchanged-w.arrows`, ["Write"], ["Write", "Finalize", "Vacuum"], ["Write", "Finalize"]],
    [`${BATCH}/sorted-w/run-0`, ["Write"], ["Write", "Vacuum"], ["Write", "Finalize"]],
    [`${BATCH}/sorted-w/changes/run-12`, ["Write"], ["Write", "Vacuum"], ["Write", "Finalize"]],
    [`${BATCH}/message-x.json`, ["Write"], ["Vacuum"], ["Plan", "Write", "Finalize"]],
    [`returns/batches/000000000003/exchanged-w.arrows`, [], [], []],
    [`returns/batches/000000000003/sorted-w/run-0`, [], [], []],
  ] as const;

  it.each(FILES)(
    "Of all roles only those that an exchange needs put, delete and get %s",
    async (key, puts, deletes, gets) => {
      const rightsTo = async (action: string) => {
        const steps: StepName[] = [];
        for (const step of STEPS) if (await object(step, action, key)) steps.push(step);
        return steps;
      };
      expect(await rightsTo("PutObject")).toEqual(puts);
      expect(await rightsTo("DeleteObject")).toEqual(deletes);
      expect(await rightsTo("GetObject")).toEqual(gets);
      // A file of more than one part is uploaded in parts, and given up if a part fails.
      const abandons = await rightsTo("AbortMultipartUpload");
      expect(abandons).toEqual(key.startsWith("orders/") ? ["Write", "Vacuum"] : []);
    },
  );

  it("The role of Plan looks for exchanged files, reads what their tasks recorded, and lets a task run again", async () => {
    const list = (step: string) =>
      may(step, "s3:ListBucket", String(bucket), { "s3:prefix": `${BATCH}/exchanged-` });
    expect(await list("Plan")).toBe(true);
    const stage = `${TASKS}#S0`;
    expect(await item("Plan", "Query", stage)).toBe(true);
    expect(await item("Plan", "DeleteItem", stage)).toBe(true);
    expect(await item("Plan", "PutItem", stage)).toBe(false);
    expect(await item("Finalize", "Query", stage)).toBe(true);
    expect(await item("Write", "PutItem", stage)).toBe(true);
  });
});

describe("the other roles", () => {
  it("The role of Plan moves the head of its own pipeline, drops tasks, and writes no task and no table", async () => {
    expect(await item("Plan", "UpdateItem", "P#orders")).toBe(true);
    expect(await item("Plan", "PutItem", "P#orders")).toBe(true);
    expect(await item("Plan", "UpdateItem", "P#orders2")).toBe(false);
    expect(await item("Plan", "PutItem", TASKS)).toBe(false);
    expect(await object("Plan", "PutObject", "orders/batches/000000000003/partitions-1-x.json")).toBe(true);
    expect(await object("Plan", "PutObject", "orders/table/data/x.arrow")).toBe(false);
    expect(await object("Plan", "GetObject", "orders/batches/000000000003/partitions-1-x.json")).toBe(true);
    expect(await object("Plan", "GetObject", "orders/batches/000000000003/message-x.json")).toBe(true);
    expect(await object("Plan", "PutObject", "orders/batches/000000000003/message-x.json")).toBe(false);
    expect(await item("Plan", "DeleteItem", TASKS)).toBe(true);
    expect(await item("Plan", "DeleteItem", "P#orders")).toBe(false);
  });

  it("The role of Finalize decides and commits and writes no task and no plan", async () => {
    expect(await item("Finalize", "UpdateItem", "P#orders")).toBe(true);
    expect(await item("Finalize", "Query", TASKS)).toBe(true);
    expect(await item("Finalize", "PutItem", TASKS)).toBe(false);
    expect(await object("Finalize", "PutObject", "orders/table/_log/00000000000000000003.json")).toBe(true);
    expect(await object("Finalize", "PutObject", "orders/batches/000000000003/partitions-1-x.json")).toBe(
      false,
    );
    expect(await object("Finalize", "PutObject", "returns/table/_log/00000000000000000003.json")).toBe(false);
  });

  it("The role of Finalize adds to the journal and keeps the rows of a skipped batch, of its own pipeline", async () => {
    expect(await item("Finalize", "PutItem", "P#orders")).toBe(true);
    expect(await item("Finalize", "PutItem", "P#orders2")).toBe(false);
    expect(await item("Finalize", "DeleteItem", "P#orders")).toBe(false);
    expect(await object("Finalize", "PutObject", "orders/source/skipped/1.arrow")).toBe(true);
    expect(await object("Finalize", "PutObject", "returns/source/skipped/1.arrow")).toBe(false);
  });

  it("The role of Vacuum changes nothing in the ledger and writes only its position and checkpoints", async () => {
    expect(await item("Vacuum", "GetItem", "P#orders")).toBe(true);
    expect(await item("Vacuum", "UpdateItem", "P#orders")).toBe(false);
    expect(await object("Vacuum", "DeleteObject", "orders/table/data/x.arrow")).toBe(true);
    expect(await object("Vacuum", "PutObject", "orders/table/data/x.arrow")).toBe(false);
    expect(await object("Vacuum", "PutObject", "orders/table/_log/00000000000000000003.json")).toBe(false);
    expect(await object("Vacuum", "PutObject", "orders/table/_checkpoints/headers/x.json")).toBe(true);
    expect(await object("Vacuum", "PutObject", "orders/vacuum/000000000001.json")).toBe(true);
    expect(await object("Vacuum", "DeleteObject", "returns/table/data/x.arrow")).toBe(false);
  });

  it("The roles list only below the pipeline's own prefix", async () => {
    const list = (step: string, prefix: string) =>
      may(step, "s3:ListBucket", String(bucket), { "s3:prefix": prefix });
    for (const step of ["Finalize", "Vacuum"]) {
      expect(await list(step, "orders/table/_log/")).toBe(true);
      expect(await list(step, "returns/table/_log/")).toBe(false);
      expect(await list(step, "")).toBe(false);
    }
    expect(await list("Write", "orders/table/data/")).toBe(false);
  });
});

/** Returns the statements that allow actions, from the policies of all roles. */
function allowed(stack: Synthesized): readonly Statement[] {
  const policies = Object.values(stack.resources("AWS::IAM::Policy")).map((policy) =>
    stack.resolve(policy.Properties),
  );
  return (policies as { PolicyDocument: { Statement: Statement[] } }[])
    .flatMap(({ PolicyDocument }) => PolicyDocument.Statement)
    .filter(({ Effect }) => Effect === "Allow");
}

const wildcards = (stack: Synthesized) =>
  allowed(stack)
    .filter(({ Resource }) => all(Resource).includes("*"))
    .flatMap(({ Action }) => all(Action));

describe("no role", () => {
  it("No role has a wildcard as its resource or its actions", () => {
    expect(wildcards(synthesized)).toEqual([]);
    expect(
      allowed(synthesized)
        .flatMap(({ Action }) => all(Action))
        .filter((action) => action.includes("*")),
    ).toEqual([]);
  });

  it("No role has a managed policy or shares its rights with another", () => {
    const roles = Object.values(synthesized.resources("AWS::IAM::Role"));
    // Six roles: one for each of the four functions, one for the state machine, and one for the
    // schedules.
    expect(roles).toHaveLength(6);
    for (const { Properties } of roles) expect(Properties["ManagedPolicyArns"]).toBeUndefined();
    const rights = STEPS.map((step) => JSON.stringify(synthesized.statements(step)));
    expect(new Set(rights).size).toBe(4);
  });

  it("No role has a wildcard but those that AWS demands, for traces, Express logs and networks", () => {
    expect(new Set(wildcards(new Synthesized({ tracing: true })))).toEqual(
      new Set([
        "xray:PutTraceSegments",
        "xray:PutTelemetryRecords",
        "xray:GetSamplingRules",
        "xray:GetSamplingTargets",
      ]),
    );
    expect(
      wildcards(new Synthesized({ workflow: "express" })).every((action) => action.startsWith("logs:")),
    ).toBe(true);
    const inNetwork = new Synthesized((scope) => ({ vpc: new Vpc(scope, "Net") as IVpc }));
    expect(wildcards(inNetwork).every((action) => action.startsWith("ec2:"))).toBe(true);
  });
});

describe("the role of the state machine", () => {
  it("The role of the state machine calls any version of three functions, and starts itself", () => {
    const actions = synthesized
      .statements("Workflow")
      .flatMap(({ Action, Resource }) => all(Action).map((action) => `${action} ${all(Resource).length}`));
    expect(actions).toContain("lambda:InvokeFunction 6");
    expect(actions).toContain("states:StartExecution 1");
  });

  it("The role of the state machine calls versions that older executions began with, of no other function", async () => {
    const called = (arn: string) => may("Workflow", "lambda:InvokeFunction", arn);
    const { Arguments } = synthesized.asl.States["Plan"] as unknown as {
      Arguments: { FunctionName: string };
    };
    const plan = Arguments.FunctionName.replace(/:1$/, "");
    expect(Arguments.FunctionName).toBe(`${plan}:1`);
    expect(await called(`${plan}:1`)).toBe(true);
    expect(await called(`${plan}:27`)).toBe(true);
    // An execution that an older Millrace started calls the function itself.
    expect(await called(plan)).toBe(true);
    expect(await called(`${plan}2:1`)).toBe(false);
    expect(await called(plan.replace("plan", "vacuum"))).toBe(false);
  });

  it("The role of the state machine may ask X-Ray what to sample, which Step Functions does in its name", () => {
    const actions = new Synthesized({ tracing: true }).statements("Workflow").flatMap(({ Action }) => Action);
    expect(actions).toEqual(expect.arrayContaining(["xray:GetSamplingRules", "xray:GetSamplingTargets"]));
  });
});

describe("a table in another bucket", () => {
  const lake = new Synthesized({
    entry: `${PACKAGE}/test/infra/lake.pipeline.ts`,
    pipelineName: undefined as never,
  });
  const rightsOn = (bucketName: string, step: string) =>
    lake
      .statements(step)
      .flatMap(({ Action, Resource }) =>
        all(Resource).flatMap((arn) => all(Action).map((action) => `${action} ${arn}`)),
      )
      .filter((right) => right.includes(`:::${bucketName}`));

  it("A source of files lets Plan, Write and Finalize list and read them, and Vacuum nothing", () => {
    const on = (step: string) => rightsOn("landing", step);
    const listed = ["s3:ListBucket arn:aws:s3:::landing", "s3:GetObject arn:aws:s3:::landing/orders/new/*"];
    expect(on("Plan")).toEqual(listed);
    expect(on("Write")).toEqual(listed);
    // The schema of files is needed to ask the sink for its newest batch.
    expect(on("Finalize")).toEqual(listed);
    expect(on("Vacuum")).toEqual([]);
  });

  it("A table in another bucket lets Plan list it and read its log, Write stage, Finalize commit and Vacuum clean, all below its folder only", () => {
    const { pipeline } = synthesized;
    expect(pipeline.pipelineName).toBe("orders");
    const on = (step: string) => rightsOn("lake", step);
    const checkpoints = ["GetObject", "PutObject", "DeleteObject"].map(
      (action) => `s3:${action} arn:aws:s3:::lake/shop/orders/_checkpoints/*`,
    );
    expect(on("Plan")).toEqual([
      "s3:ListBucket arn:aws:s3:::lake",
      "s3:GetObject arn:aws:s3:::lake/shop/orders/_log/*",
      ...checkpoints,
    ]);
    expect(on("Write")).toEqual(
      ["GetObject", "PutObject", "DeleteObject", "AbortMultipartUpload"].map(
        (action) => `s3:${action} arn:aws:s3:::lake/shop/orders/data/*`,
      ),
    );
    expect(new Set(on("Finalize"))).toEqual(
      new Set([
        "s3:ListBucket arn:aws:s3:::lake",
        "s3:GetObject arn:aws:s3:::lake/shop/orders/_log/*",
        "s3:PutObject arn:aws:s3:::lake/shop/orders/_log/*",
        // The entry of an overwrite of many files is uploaded in parts.
        "s3:AbortMultipartUpload arn:aws:s3:::lake/shop/orders/_log/*",
        "s3:AbortMultipartUpload arn:aws:s3:::lake/shop/orders/_checkpoints/*",
        "s3:DeleteObject arn:aws:s3:::lake/shop/orders/data/*",
        ...checkpoints,
      ]),
    );
  });
});

describe("a table of DynamoDB as the sink", () => {
  const toDynamoDb = new Synthesized({
    entry: `${PACKAGE}/test/infra/dynamodb.pipeline.ts`,
    pipelineName: undefined as never,
    environment: { TABLE: "Totals" },
  });
  const rightsOf = (step: string) =>
    toDynamoDb
      .statements(step)
      .filter(({ Resource }) => all(Resource).some((arn) => arn.endsWith(":table/Totals")))
      .flatMap(({ Action, Resource }) => all(Action).map((action) => `${action} ${all(Resource).join()}`));

  it("A stream of changes into DynamoDB lets Write put items, too", () => {
    const merging = new Synthesized({
      entry: `${PACKAGE}/test/infra/dynamodb.pipeline.ts`,
      pipelineName: undefined as never,
      environment: { TABLE: "Totals", MERGE_BY: "id" },
    });
    const rights = merging
      .statements("Write")
      .filter(({ Resource }) => all(Resource).some((arn) => arn.endsWith(":table/Totals")))
      .flatMap(({ Action }) => all(Action));
    expect(rights).toEqual(["dynamodb:PutItem"]);
  });

  it("A sink in DynamoDB lets Plan read its table, Finalize read and put, and the other roles nothing", () => {
    const arn = `arn:aws:dynamodb:${REGION}:${ACCOUNT}:table/Totals`;
    expect(rightsOf("Plan")).toEqual([`dynamodb:GetItem ${arn}`]);
    expect(rightsOf("Finalize")).toEqual([`dynamodb:GetItem ${arn}`, `dynamodb:PutItem ${arn}`]);
    expect([...rightsOf("Write"), ...rightsOf("Vacuum")]).toEqual([]);
  });
});

describe("the rights on backfills", () => {
  const NAME = "orders@2026-01-01_2026-02-10";
  const CASES: readonly [StepName, string, boolean][] = [
    ["Plan", "Query", true],
    ["Finalize", "UpdateItem", true],
    ["Vacuum", "GetItem", true],
    ["Write", "GetItem", false],
  ];

  it.each(CASES)("The role of %s may %s the head of a backfill: %s", async (step, action, expected) => {
    expect(await item(step, action, `P#${NAME}`)).toBe(expected);
    expect(await item(step, action, `P#returns@2026-01-01_2026-02-10`)).toBe(false);
  });

  it("The role of Write records the tasks of its own pipeline's backfills only", async () => {
    expect(await item("Write", "PutItem", `T#${NAME}#5a1c#000000000003#1`)).toBe(true);
    expect(await item("Write", "PutItem", "T#orders2@2026-01-01_2026-02-10#5a1c#000000000003#1")).toBe(false);
  });

  it("A backfill has files of its batches of its own, and the table of its pipeline", async () => {
    expect(await object("Plan", "PutObject", `${NAME}/batches/000000000003/partitions-1-x.json`)).toBe(true);
    expect(await object("Write", "GetObject", `${NAME}/batches/000000000003/partitions-1-x.json`)).toBe(true);
    expect(await object("Write", "PutObject", `${NAME}/staging/x.parquet`)).toBe(true);
    expect(await object("Write", "PutObject", `orders/table/data/${NAME}/5a1c/x.arrow`)).toBe(true);
    expect(await object("Write", "PutObject", `${NAME}/table/data/x.arrow`)).toBe(false);
    expect(await object("Vacuum", "DeleteObject", `${NAME}/batches/000000000003/partitions-1-x.json`)).toBe(
      true,
    );
    expect(await object("Plan", "PutObject", "orders2@1_2/batches/000000000003/partitions-1-x.json")).toBe(
      false,
    );
    const list = (prefix: string) => may("Plan", "s3:ListBucket", String(bucket), { "s3:prefix": prefix });
    expect(await list(`${NAME}/batches/000000000003/`)).toBe(true);
    expect(await list("returns@1_2/batches/000000000003/")).toBe(false);
  });
});
