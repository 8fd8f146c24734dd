import { resolve } from "node:path";
import { type Duration, RemovalPolicy, Stack } from "aws-cdk-lib";
import { PolicyStatement, Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import type { IKey } from "aws-cdk-lib/aws-kms";
import { Architecture, type IFunction, Runtime, Tracing } from "aws-cdk-lib/aws-lambda";
import { type ICommandHooks, NodejsFunction, OutputFormat } from "aws-cdk-lib/aws-lambda-nodejs";
import { LogGroup, RetentionDays } from "aws-cdk-lib/aws-logs";
import type { Construct } from "constructs";
import { METRICS_NAMESPACE, POWERTOOLS } from "../shared/aws/names.ts";
import { type FunctionSettings, formatSettings, type SecretReference } from "../shared/aws/settings.ts";
import { grant } from "./accept.ts";
import { type Figures, leaseSeconds } from "./figures.ts";
import type { StepName } from "./folders.ts";
import { leftOutArguments, wasmCommands } from "./optional-packages.ts";
import { lockFileStandIn, modulePathInProject } from "./package-paths.ts";
import { type Places, statementsOf } from "./permissions.ts";
import type { MicroBatchPipelineProps, PipelineSecret } from "./props.ts";

/**
 * Logs are deleted with the stack unless `removalPolicy` is set. Their log groups have fixed names,
 * so one that was kept would make the next deployment fail.
 */
export const LOGS_GO: RemovalPolicy = RemovalPolicy.DESTROY;

/** The functions of a pipeline. */
export type StepFunctionSet = Readonly<Record<StepName, NodejsFunction>>;

const PURPOSES: Readonly<Record<StepName, string>> = {
  Plan: "takes the pipeline and records the next batch",
  Write: "reads one partition and stages it",
  Finalize: "commits or aborts a batch and moves the offset",
  Vacuum: "removes what no batch needs any more",
};

/** Names and ARNs of the state machine. The roles need them before the state machine is created. */
export interface MachineNames {
  readonly name: string;
  readonly arn: string;
  /** ARN pattern of the state machine's executions. */
  readonly executions: string;
  /** ARN pattern of the child executions of its Distributed Map. */
  readonly children: string;
}

/** The input for creating the functions of a pipeline. */
export interface FunctionContext {
  readonly props: MicroBatchPipelineProps;
  readonly figures: Figures;
  readonly places: Places;
  /** Prefix of all resource names. */
  readonly name: string;
  readonly machine: MachineNames;
}

export function functionsOf(scope: Construct, context: FunctionContext): StepFunctionSet {
  const { figures } = context;
  const planner = { memorySize: figures.plannerMemory, timeout: figures.plannerTimeout };
  const writer = { memorySize: figures.writerMemory, timeout: figures.writerTimeout };
  return {
    Plan: functionOf(scope, "Plan", context, planner),
    Write: functionOf(scope, "Write", context, writer),
    Finalize: functionOf(scope, "Finalize", context, planner),
    Vacuum: functionOf(scope, "Vacuum", context, planner),
  };
}

/** Returns the version that a deployment makes of a function. Its code never changes. */
export function versionOf(step: NodejsFunction): IFunction {
  return step.currentVersion as IFunction;
}

function functionOf(
  scope: Construct,
  step: StepName,
  context: FunctionContext,
  size: { readonly memorySize: number; readonly timeout: Duration },
): NodejsFunction {
  const { props, name, places } = context;
  const { vpc, vpcSubnets, securityGroups } = props;
  const functionName = `${name}-${step}`;
  const lockFile = lockFileStandIn();
  const logGroup = new LogGroup(scope, `${step}Logs`, {
    logGroupName: `/aws/lambda/${functionName}`,
    retention: props.logRetention ?? RetentionDays.ONE_MONTH,
    removalPolicy: props.removalPolicy ?? LOGS_GO,
  });
  return new NodejsFunction(scope, step, {
    functionName,
    description: `Millrace pipeline ${places.pipeline}: ${PURPOSES[step]}`,
    entry: modulePathInProject(`../functions/${step.toLowerCase()}`),
    ...(lockFile === undefined ? {} : { depsLockFilePath: lockFile }),
    runtime: Runtime.NODEJS_24_X,
    architecture: Architecture.ARM_64,
    ...size,
    role: roleOf(scope, step, context, logGroup),
    logGroup,
    tracing: props.tracing ? Tracing.ACTIVE : Tracing.DISABLED,
    environment: environmentOf(context),
    // An execution calls the versions that were current when it started, so they must outlive a
    // deployment. One that a failed deployment has created must not: the next could not create it.
    currentVersionOptions: { removalPolicy: RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE },
    ...(vpc === undefined
      ? {}
      : {
          vpc,
          ...(vpcSubnets && { vpcSubnets }),
          ...(securityGroups && { securityGroups: [...securityGroups] }),
        }),
    bundling: {
      format: OutputFormat.ESM,
      mainFields: ["module", "main"],
      minify: true,
      // Errors are recognized by their class names, so minifying must keep them.
      keepNames: true,
      // The bundled SDK has a fixed version, and one file loads faster than hundreds.
      bundleAwsSDK: true,
      // The X-Ray SDK is CommonJS and needs `require`.
      banner: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
      ...props.bundling,
      commandHooks: commandHooks(props),
      esbuildArgs: {
        "--alias:millrace:pipeline": resolve(props.entry),
        ...leftOutArguments(props.entry, props),
        ...props.bundling?.esbuildArgs,
      },
    },
  });
}

/** The user's commands, and the one that adds the Parquet writer's code to the bundle. */
function commandHooks({ entry, bundling }: MicroBatchPipelineProps): ICommandHooks {
  const own = bundling?.commandHooks;
  return {
    beforeBundling: (input, output) => own?.beforeBundling(input, output) ?? [],
    beforeInstall: (input, output) => own?.beforeInstall(input, output) ?? [],
    afterBundling: (input, output) => [
      ...wasmCommands(entry, output),
      ...(own?.afterBundling(input, output) ?? []),
    ],
  };
}

/**
 * Creates a separate role for each function. It uses no managed policies, because those grant more
 * than one pipeline needs.
 */
function roleOf(scope: Construct, step: StepName, context: FunctionContext, logGroup: LogGroup): Role {
  const { props, places } = context;
  const role = new Role(scope, `${step}Role`, {
    assumedBy: new ServicePrincipal("lambda.amazonaws.com"),
    description: `Millrace pipeline ${places.pipeline}: ${PURPOSES[step]}`,
  });
  grant(
    role,
    new PolicyStatement({
      actions: ["logs:CreateLogStream", "logs:PutLogEvents"],
      resources: [logGroup.logGroupArn],
    }),
    ...statementsOf(step, places),
  );
  if (step === "Plan") {
    grant(
      role,
      new PolicyStatement({
        actions: ["states:DescribeExecution"],
        resources: [context.machine.executions],
      }),
    );
  }
  for (const secret of Object.values(props.secrets ?? {})) grantSecret(secret, role);
  for (const key of keysOf(props)) key.grant(role, "kms:Decrypt", "kms:GenerateDataKey");
  if (props.tracing) grant(role, tracingStatement());
  if (props.vpc !== undefined) grant(role, networkStatement());
  return role;
}

function environmentOf({ props, figures, places }: FunctionContext): Record<string, string> {
  const { table, bucket, prefix, pipeline } = places;
  const secrets = Object.entries(props.secrets ?? {}).map(([name, secret]) => [name, referenceTo(secret)]);
  const settings: FunctionSettings = {
    pipeline,
    table: table.tableName,
    bucket: bucket.bucketName,
    prefix,
    trigger: props.trigger,
    leaseMilliseconds: leaseSeconds(figures) * 1000,
    executionMilliseconds: figures.timeout.toMilliseconds(),
    distributeAbove: figures.distributeAbove,
    maxAttempts: figures.maxAttempts,
    stallAfterMilliseconds: props.stallAfter?.toMilliseconds(),
    failStalled: props.failStalled,
    secrets: Object.fromEntries(secrets),
  };
  return {
    ...props.environment,
    ...formatSettings(settings, (value) => Stack.of(table).toJsonString(value)),
    [POWERTOOLS.namespace]: props.metricsNamespace ?? METRICS_NAMESPACE,
    [POWERTOOLS.tracing]: String(props.tracing ?? false),
  };
}

function referenceTo(secret: PipelineSecret): SecretReference {
  if ("parameter" in secret) return { parameter: secret.parameter.parameterName };
  return { secret: secret.secret.secretArn, ...(secret.field === undefined ? {} : { field: secret.field }) };
}

/**
 * Returns the KMS keys that a function needs in addition to its permissions on table and bucket.
 */
export function keysOf(props: MicroBatchPipelineProps): ReadonlySet<IKey> {
  const keys = [props.encryptionKey, props.table?.encryptionKey, props.bucket?.encryptionKey];
  return new Set(keys.filter((key) => key !== undefined));
}

function grantSecret(secret: PipelineSecret, role: Role): void {
  if ("secret" in secret) {
    role.addToPolicy(
      new PolicyStatement({
        actions: ["secretsmanager:GetSecretValue"],
        resources: [secretArn(secret.secret)],
      }),
    );
    secret.secret.encryptionKey?.grantDecrypt(role);
  } else {
    role.addToPolicy(
      new PolicyStatement({ actions: ["ssm:GetParameter"], resources: [secret.parameter.parameterArn] }),
    );
    // The key of a SecureString parameter, which is missing in the type IStringParameter.
    const { encryptionKey } = secret.parameter as { readonly encryptionKey?: IKey };
    encryptionKey?.grantDecrypt(role);
  }
}

/**
 * Returns an ARN pattern. Secrets Manager adds six random characters to the ARN of a secret, and
 * they are unknown if only its name is given.
 */
function secretArn(secret: { readonly secretArn: string; readonly secretFullArn?: string }): string {
  return secret.secretFullArn ?? `${secret.secretArn}-??????`;
}

/**
 * Returns the X-Ray permissions. Lambda decides on sampling itself; Step Functions needs the role's
 * permission for it, passed as `sampling`.
 */
export function tracingStatement(...sampling: readonly string[]): PolicyStatement {
  return new PolicyStatement({
    actions: ["xray:PutTraceSegments", "xray:PutTelemetryRecords", ...sampling],
    resources: ["*"],
  });
}

/**
 * Returns the permissions to attach a function to a VPC. These actions do not support
 * resource-level permissions.
 */
function networkStatement(): PolicyStatement {
  return new PolicyStatement({
    actions: [
      "ec2:CreateNetworkInterface",
      "ec2:DescribeNetworkInterfaces",
      "ec2:DescribeSubnets",
      "ec2:DeleteNetworkInterface",
      "ec2:AssignPrivateIpAddresses",
      "ec2:UnassignPrivateIpAddresses",
    ],
    resources: ["*"],
  });
}
