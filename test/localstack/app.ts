import { App, Aspects, RemovalPolicy, Stack } from "aws-cdk-lib";
import { type CfnFunction, CfnVersion, type IFunction } from "aws-cdk-lib/aws-lambda";
import { Secret } from "aws-cdk-lib/aws-secretsmanager";
import { StringParameter } from "aws-cdk-lib/aws-ssm";
import { MicroBatchPipeline, type MicroBatchPipelineProps } from "millrace/cdk";
import { SETTINGS } from "../../shared/aws/settings.ts";
import { CATALOG_VARIABLES } from "./catalog-port.ts";
import { CONTROL_URL } from "./control.ts";
import { EDITION, PARAMETER, SECRET } from "./names.ts";

/** Pipelines over pipelines/numbers.ts with different props of the construct. */

const stack = new Stack(new App(), "MillraceTests");
// LocalStack does not know the policy RetainExceptOnCreate, which the construct sets.
Aspects.of(stack).add({
  visit: (node) => {
    if (node instanceof CfnVersion) node.applyRemovalPolicy(RemovalPolicy.RETAIN);
  },
});

function numbers(name: string, props: Partial<MicroBatchPipelineProps> = {}): MicroBatchPipeline {
  return new MicroBatchPipeline(stack, name, {
    entry: "test/localstack/pipelines/numbers.ts",
    maxAttempts: 2,
    distributeAbove: 10,
    maxConcurrency: 8,
    removalPolicy: RemovalPolicy.DESTROY,
    dashboard: false,
    alarms: false,
    environment: {
      NUMBERS_PIPELINE: name,
      NUMBERS_CONTROL: CONTROL_URL,
      NUMBERS_EDITION: process.env[EDITION] ?? "first",
    },
    ...props,
  });
}

const { table, bucket } = numbers("numbers");

numbers("tabled", { table, bucket, entry: "test/localstack/pipelines/rows-table.ts" });

numbers("exchange", { table, bucket, entry: "test/localstack/pipelines/exchange.ts" });

numbers("iceberg", {
  table,
  bucket,
  entry: "test/localstack/pipelines/iceberg.ts",
  environment: { NUMBERS_PIPELINE: "iceberg", NUMBERS_CONTROL: CONTROL_URL, ...CATALOG_VARIABLES },
});

const hurried = numbers("hurried", { table, bucket });
// The test sets the timeout here and not by `writerTimeout`. With a `writerTimeout` this short, the
// distributed Map would have Express children, which LocalStack refuses.
functionOf(hurried.writeFunction).timeout = 6;

const relayed = numbers("relayed", { table, bucket });
// With this setting, half of the execution's time is over at once, so the execution ends early and
// starts the next one.
functionOf(relayed.finalizeFunction).addPropertyOverride(
  `Environment.Variables.${SETTINGS.executionMilliseconds.variable}`,
  "0",
);

function functionOf(construct: IFunction): CfnFunction {
  return construct.node.defaultChild as CfnFunction;
}

numbers("secretive", {
  table,
  bucket,
  secrets: {
    NUMBERS_PASSWORD: { secret: Secret.fromSecretNameV2(stack, "Secret", SECRET), field: "password" },
    NUMBERS_TOKEN: {
      parameter: StringParameter.fromSecureStringParameterAttributes(stack, "Parameter", {
        parameterName: PARAMETER,
      }),
    },
  },
});
