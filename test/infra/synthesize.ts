import { App, Stack } from "aws-cdk-lib";
import { Template } from "aws-cdk-lib/assertions";
import type { Construct } from "constructs";
import { MicroBatchPipeline } from "../../infra/micro-batch-pipeline.ts";
import type { MicroBatchPipelineProps } from "../../infra/props.ts";
import { PACKAGE } from "../support/package.ts";

export const ACCOUNT = "123456789012";
export const REGION = "eu-central-1";

interface Resource {
  readonly Type: string;
  readonly Properties: Readonly<Record<string, unknown>>;
}

/** A statement of an IAM policy, as CloudFormation passes it to IAM. */
export interface Statement {
  readonly Effect: string;
  readonly Action: string | readonly string[];
  readonly Resource: string | readonly string[];
  readonly Condition?: unknown;
}

/** A state of the state machine. */
export type AslState = Readonly<Record<string, unknown>> & {
  readonly Type: string;
  readonly Next?: string;
  readonly ItemProcessor?: {
    readonly ProcessorConfig: Readonly<Record<string, string>>;
    readonly States: Asl["States"];
  };
};
export interface Asl {
  readonly StartAt: string;
  readonly TimeoutSeconds: number;
  readonly States: Readonly<Record<string, AslState>>;
}

/**
 * A synthesized stack without bundles. `resolve` replaces its references by the values of a
 * deployed stack.
 */
export class Synthesized {
  readonly app: App;
  readonly stack: Stack;
  readonly pipeline: MicroBatchPipeline;

  constructor(
    props: Partial<MicroBatchPipelineProps> | ((scope: Construct) => Partial<MicroBatchPipelineProps>) = {},
  ) {
    this.app = new App({ context: { "aws:cdk:bundling-stacks": [] }, analyticsReporting: false });
    this.stack = new Stack(this.app, "Shop", { env: { account: ACCOUNT, region: REGION } });
    this.pipeline = new MicroBatchPipeline(this.stack, "Orders", {
      entry: `${PACKAGE}/examples/earthquakes/pipeline.ts`,
      pipelineName: "orders",
      ...(typeof props === "function" ? props(this.stack) : props),
    });
  }

  #template: Template | undefined;

  get template(): Template {
    this.#template ??= Template.fromStack(this.stack);
    return this.#template;
  }

  resources(type: string): Readonly<Record<string, Resource>> {
    return this.template.findResources(type) as unknown as Record<string, Resource>;
  }

  /**
   * Returns the properties of the resource of this type whose logical id begins with the
   * construct's id and `path`. Throws if there is not exactly one.
   */
  one(type: string, path = ""): Readonly<Record<string, unknown>> {
    const found = Object.entries(this.resources(type)).filter(([id]) => id.startsWith(`Orders${path}`));
    if (found.length !== 1) throw new Error(`${found.length} resources are ${type} ${path}`);
    return this.resolve(found[0]?.[1].Properties) as Readonly<Record<string, unknown>>;
  }

  get asl(): Asl {
    return JSON.parse(String(this.one("AWS::StepFunctions::StateMachine")["DefinitionString"])) as Asl;
  }

  /** Returns the policy statements of a step's role. */
  statements(path: string): readonly Statement[] {
    const { PolicyDocument } = this.one("AWS::IAM::Policy", `${path}RoleDefaultPolicy`) as {
      PolicyDocument: { Statement: readonly Statement[] };
    };
    return PolicyDocument.Statement;
  }

  /** Returns the environment variables of a step's function. */
  environment(step: string): Readonly<Record<string, string>> {
    const functions = Object.entries(this.resources("AWS::Lambda::Function"));
    const [, found] = functions.find(([id]) => new RegExp(`^Orders${step}[0-9A-F]{8}$`).test(id)) ?? [];
    const { Environment } = this.resolve(found?.Properties) as {
      Environment: { Variables: Record<string, string> };
    };
    return Environment.Variables;
  }

  /**
   * Replaces CloudFormation's intrinsic functions by their values. A name that CloudFormation
   * generates becomes the logical id.
   */
  resolve(value: unknown): unknown {
    if (Array.isArray(value)) return value.map((item) => this.resolve(item));
    if (typeof value !== "object" || value === null) return value;
    const [[name, argument] = ["", undefined]] = Object.entries(value);
    if (name === "Ref") return this.#ref(String(argument));
    if (name === "Fn::Join") {
      const [separator, parts] = argument as [string, unknown[]];
      return parts.map((part) => this.resolve(part)).join(separator);
    }
    if (name === "Fn::GetAtt") return this.#arn((argument as [string])[0]);
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, this.resolve(inner)]));
  }

  #ref(id: string): string {
    const pseudo: Readonly<Record<string, string>> = {
      "AWS::Partition": "aws",
      "AWS::Region": REGION,
      "AWS::AccountId": ACCOUNT,
      "AWS::URLSuffix": "amazonaws.com",
    };
    const type = this.#typeOf(id);
    if (type === "AWS::StepFunctions::StateMachine") return this.#arn(id);
    // The logical id of a version has a digest of the code, which tests must not depend on.
    if (type === "AWS::Lambda::Version") return `${this.#arn(this.#functionOf(id))}:1`;
    return pseudo[id] ?? id.toLowerCase();
  }

  #functionOf(version: string): string {
    const { Properties } = this.resources("AWS::Lambda::Version")[version] ?? {};
    return String((Properties?.["FunctionName"] as { readonly Ref: string } | undefined)?.Ref);
  }

  #arn(id: string): string {
    const at = (service: string, resource: string) => `arn:aws:${service}:${REGION}:${ACCOUNT}:${resource}`;
    const name = id.toLowerCase();
    switch (this.#typeOf(id)) {
      case "AWS::DynamoDB::Table":
        return at("dynamodb", `table/${name}`);
      case "AWS::S3::Bucket":
        return `arn:aws:s3:::${name}`;
      case "AWS::Logs::LogGroup":
        return at("logs", `log-group:${name}:*`);
      case "AWS::Lambda::Function":
        return at("lambda", `function:${name}`);
      case "AWS::StepFunctions::StateMachine":
        return at("states", `stateMachine:${name}`);
      case "AWS::KMS::Key":
        return at("kms", `key/${name}`);
      case "AWS::SecretsManager::Secret":
        return at("secretsmanager", `secret:${name}`);
      default:
        return at("unknown", name);
    }
  }

  #typeOf(id: string): string | undefined {
    const { Resources = {} } = this.template.toJSON() as { Resources?: Record<string, Resource> };
    return Resources[id]?.Type;
  }
}
