import { Duration, NestedStack, RemovalPolicy, Stack } from "aws-cdk-lib";
import { Match, Template } from "aws-cdk-lib/assertions";
import { type IVpc, Vpc } from "aws-cdk-lib/aws-ec2";
import { Schedule } from "aws-cdk-lib/aws-events";
import { Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import { Key } from "aws-cdk-lib/aws-kms";
import { ScheduleExpression } from "aws-cdk-lib/aws-scheduler";
import { type ISecret, Secret } from "aws-cdk-lib/aws-secretsmanager";
import { StringParameter } from "aws-cdk-lib/aws-ssm";
import { TimeZone } from "aws-cdk-lib/core";
import { Construct } from "constructs";
import { describe, expect, it } from "vitest";
import { MicroBatchPipeline } from "../../../infra/micro-batch-pipeline.ts";
import { OUTPUT } from "../../../shared/aws/names.ts";
import { SETTINGS } from "../../../shared/aws/settings.ts";
import { PACKAGE } from "../../support/package.ts";
import { Synthesized } from "../synthesize.ts";

describe("the deployed resources", () => {
  it("The construct keeps table and bucket encrypted, private, reached by TLS only, and recoverable", () => {
    const { template } = new Synthesized();
    template.hasResourceProperties("AWS::DynamoDB::Table", {
      BillingMode: "PAY_PER_REQUEST",
      KeySchema: [
        { AttributeName: "pk", KeyType: "HASH" },
        { AttributeName: "sk", KeyType: "RANGE" },
      ],
      TimeToLiveSpecification: { AttributeName: "expiresAt", Enabled: true },
      SSESpecification: { SSEEnabled: true },
      PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
      ResourcePolicy: {
        PolicyDocument: {
          Statement: [
            Match.objectLike({ Effect: "Deny", Condition: { Bool: { "aws:SecureTransport": "false" } } }),
          ],
        },
      },
    });
    template.hasResourceProperties("AWS::S3::Bucket", {
      BucketEncryption: Match.anyValue(),
      VersioningConfiguration: { Status: "Enabled" },
      PublicAccessBlockConfiguration: {
        BlockPublicAcls: true,
        BlockPublicPolicy: true,
        IgnorePublicAcls: true,
        RestrictPublicBuckets: true,
      },
    });
    template.hasResourceProperties("AWS::S3::BucketPolicy", {
      PolicyDocument: {
        Statement: Match.arrayWith([
          Match.objectLike({ Effect: "Deny", Condition: { Bool: { "aws:SecureTransport": "false" } } }),
        ]),
      },
    });
    for (const type of ["AWS::DynamoDB::Table", "AWS::S3::Bucket"])
      template.hasResource(type, { DeletionPolicy: "Retain", UpdateReplacePolicy: "Retain" });
  });

  it("The construct deletes its logs with the stack, so that it can be deployed again, unless told not to", () => {
    for (const props of [{}, { workflow: "express" as const }]) {
      const groups = Object.values(new Synthesized(props).template.findResources("AWS::Logs::LogGroup"));
      expect(new Set(groups.map((group) => group["DeletionPolicy"]))).toEqual(new Set(["Delete"]));
    }
    new Synthesized({ removalPolicy: RemovalPolicy.RETAIN }).template.hasResource("AWS::Logs::LogGroup", {
      DeletionPolicy: "Retain",
    });
  });

  it("The construct is removed with the stack if removalPolicy says so", () => {
    const { template } = new Synthesized({ removalPolicy: RemovalPolicy.DESTROY });
    for (const type of ["AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::Logs::LogGroup"])
      template.hasResource(type, { DeletionPolicy: "Delete" });
  });

  it("The construct's resources have names that say what they are", () => {
    const { template } = new Synthesized({ schedule: Schedule.rate(Duration.minutes(1)) });
    for (const step of ["Plan", "Write", "Finalize", "Vacuum"])
      template.hasResourceProperties("AWS::Lambda::Function", { FunctionName: `Shop-Orders-${step}` });
    template.hasResourceProperties("AWS::StepFunctions::StateMachine", { StateMachineName: "Shop-Orders" });
    template.hasResourceProperties("AWS::Scheduler::Schedule", { Name: "Shop-Orders-start" });
    // The name of a dashboard must be unique in the whole account, so it contains the region.
    template.hasResourceProperties("AWS::CloudWatch::Dashboard", {
      DashboardName: "Shop-Orders-eu-central-1",
    });
  });

  it("The construct has unique names wherever it is in the stack, of letters that AWS accepts", () => {
    const { stack } = new Synthesized();
    const make = (scope: Construct, id: string) =>
      new MicroBatchPipeline(scope, id, {
        entry: `${PACKAGE}/examples/earthquakes/pipeline.ts`,
        pipelineName: "orders",
      });
    for (const team of ["North", "South"]) make(new Construct(stack, team), "Orders");
    make(stack, "Late orders (EU)");
    const nested = new NestedStack(stack, "Nested");
    make(nested, "Orders");
    const names = [stack, nested]
      .flatMap((each) => Object.values(Template.fromStack(each).findResources("AWS::Lambda::Function")))
      .map((fn) => (fn["Properties"] as { FunctionName: string }).FunctionName);
    expect(names).toEqual(
      expect.arrayContaining([
        "Shop-Orders-Write",
        "Shop-North-Orders-Write",
        "Shop-South-Orders-Write",
        "Shop-LateordersEU-Write",
      ]),
    );
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(name).toMatch(/^[\w-]{1,64}$/);
  });

  it("The construct shortens long names of stack and construct to AWS's limits and keeps them apart", () => {
    const { app } = new Synthesized();
    const stack = new Stack(app, "AStackWithARatherLongNameThatGoesOnAndOnForEver");
    const names = ["PipelineWithAName1", "PipelineWithAName2"].map((id) => {
      const { writeFunction } = new MicroBatchPipeline(stack, id, {
        entry: `${PACKAGE}/examples/earthquakes/pipeline.ts`,
        pipelineName: id.toLowerCase(),
      });
      return writeFunction;
    });
    expect(names).toHaveLength(2);
    const functions = Template.fromStack(stack).findResources("AWS::Lambda::Function");
    const physical = Object.values(functions).map((fn) =>
      String((fn["Properties"] as { FunctionName: string }).FunctionName),
    );
    expect(new Set(physical).size).toBe(8);
    for (const name of physical) expect(name.length).toBeLessThanOrEqual(64);
  });

  it.each([
    ["a rate of aws-events", Schedule.rate(Duration.minutes(5)), "rate(5 minutes)", undefined],
    [
      "a cron of aws-scheduler with its time zone",
      ScheduleExpression.cron({ minute: "0", hour: "3", timeZone: TimeZone.EUROPE_BERLIN }),
      "cron(0 3 * * ? *)",
      "Europe/Berlin",
    ],
    [
      "one of another copy of aws-cdk-lib",
      { expressionString: "cron(0 3 * * ? *)", timeZone: { timezoneName: "Europe/Berlin" } },
      "cron(0 3 * * ? *)",
      "Europe/Berlin",
    ],
  ])("The construct is started by EventBridge Scheduler: %s", (_name, schedule, expression, timeZone) => {
    const { template } = new Synthesized({ schedule });
    template.hasResourceProperties("AWS::Scheduler::Schedule", {
      Name: "Shop-Orders-start",
      ScheduleExpression: expression,
      State: "ENABLED",
      ...(timeZone === undefined ? {} : { ScheduleExpressionTimezone: timeZone }),
      Target: Match.objectLike({
        Input: '{"reason":"schedule"}',
        RetryPolicy: Match.objectLike({ MaximumRetryAttempts: 2 }),
      }),
    });
  });

  it("The construct is vacuumed once a day, and can have its schedule off or no schedule", () => {
    const off = new Synthesized({ schedule: Schedule.rate(Duration.hours(1)), enabled: false }).template;
    off.hasResourceProperties("AWS::Scheduler::Schedule", { Name: "Shop-Orders-start", State: "DISABLED" });
    off.hasResourceProperties("AWS::Scheduler::Schedule", {
      Name: "Shop-Orders-vacuum",
      ScheduleExpression: "rate(1 day)",
    });
    new Synthesized().template.resourceCountIs("AWS::Scheduler::Schedule", 1);
  });

  it("The construct tells the millrace command where it is", () => {
    const synthesized = new Synthesized();
    const outputs = Object.values(synthesized.template.findOutputs("*"));
    const values = outputs.map(
      (output) => JSON.parse(String(synthesized.resolve(output["Value"]))) as object,
    );
    expect(values).toEqual([
      {
        [OUTPUT.version]: 1,
        [OUTPUT.pipeline]: "orders",
        [OUTPUT.table]: expect.stringContaining("ordersledger"),
        [OUTPUT.bucket]: expect.stringContaining("ordersstore"),
        [OUTPUT.prefix]: "orders",
        [OUTPUT.stateMachine]: expect.stringContaining(":stateMachine:"),
        [OUTPUT.vacuum]: expect.stringContaining("ordersvacuum"),
        [OUTPUT.finalize]: expect.stringContaining("ordersfinalize"),
      },
    ]);
  });

  it("The construct shares table and bucket with another pipeline, each below a prefix of its own", () => {
    const first = new Synthesized();
    const second = new MicroBatchPipeline(first.stack, "Returns", {
      entry: `${PACKAGE}/examples/earthquakes/pipeline.ts`,
      pipelineName: "returns",
      table: first.pipeline.table,
      bucket: first.pipeline.bucket,
    });
    expect(second.table).toBe(first.pipeline.table);
    first.template.resourceCountIs("AWS::DynamoDB::Table", 1);
    first.template.resourceCountIs("AWS::S3::Bucket", 1);
  });

  it("The construct sets the time of a stall only if it is asked to, and else leaves it to the pipeline", () => {
    const plain = new Synthesized().environment("Write");
    expect(Object.keys(plain).filter((name) => name.includes("STALL"))).toEqual([]);
    const stall = { stallAfter: Duration.seconds(90), failStalled: true };
    expect(new Synthesized(stall).environment("Write")).toMatchObject({
      [SETTINGS.stallAfterMilliseconds.variable]: "90",
      [SETTINGS.failStalled.variable]: "true",
    });
  });

  it("The construct passes variables and the places of secrets, but never their values", () => {
    const synthesized = new Synthesized((scope) => ({
      environment: { REGION_NAME: "north" },
      secrets: {
        API_TOKEN: { secret: new Secret(scope, "Token") as ISecret, field: "token" },
        API_KEY: {
          parameter: StringParameter.fromSecureStringParameterAttributes(scope, "Key", {
            parameterName: "/orders/key",
            encryptionKey: new Key(scope, "ParameterKey"),
          }),
        },
      },
    }));
    const environment = synthesized.environment("Write");
    expect(environment).toMatchObject({ REGION_NAME: "north" });
    expect(JSON.parse(environment[SETTINGS.secrets.variable] ?? "")).toEqual({
      API_TOKEN: { secret: expect.any(String), field: "token" },
      API_KEY: { parameter: "/orders/key" },
    });
    const actions = synthesized.statements("Write").flatMap((statement) => statement.Action);
    expect(actions).toContain("secretsmanager:GetSecretValue");
    expect(actions).toContain("ssm:GetParameter");
    expect(actions).toContain("kms:Decrypt");
  });

  it("The construct runs in a network if one is set", () => {
    const { template } = new Synthesized((scope) => ({ vpc: new Vpc(scope, "Net") as IVpc }));
    template.hasResourceProperties("AWS::Lambda::Function", {
      FunctionName: "Shop-Orders-Write",
      VpcConfig: Match.objectLike({ SubnetIds: Match.anyValue() }),
    });
  });

  it("The construct encrypts with a customer key, which its roles may use", () => {
    const synthesized = new Synthesized((scope) => ({ encryptionKey: new Key(scope, "Key") }));
    synthesized.template.hasResourceProperties("AWS::DynamoDB::Table", {
      SSESpecification: { SSEType: "KMS", KMSMasterKeyId: Match.anyValue() },
    });
    for (const step of ["Plan", "Write", "Finalize", "Vacuum"]) {
      const statement = synthesized.statements(step).find(({ Action }) => Action.includes("kms:Decrypt"));
      expect(statement?.Action).toEqual(["kms:Decrypt", "kms:GenerateDataKey"]);
    }
  });

  it("The construct can let others read the committed table, or all staged files", () => {
    const synthesized = new Synthesized();
    const reader = new Role(synthesized.stack, "Reader", {
      assumedBy: new ServicePrincipal("glue.amazonaws.com"),
    });
    const auditor = new Role(synthesized.stack, "Auditor", {
      assumedBy: new ServicePrincipal("glue.amazonaws.com"),
    });
    synthesized.pipeline.grantRead(reader);
    synthesized.pipeline.grantReadStaged(auditor);
    const policies = synthesized.resolve(synthesized.resources("AWS::IAM::Policy")) as Record<string, object>;
    const of = (id: string) =>
      JSON.stringify(Object.entries(policies).find(([key]) => key.startsWith(id))?.[1]);
    expect(of("Reader")).toContain("/orders/table/*");
    expect(of("Reader")).not.toContain("/orders/*");
    expect(of("Auditor")).toContain("/orders/*");
  });
});
