import { Duration, type Stack, Validations } from "aws-cdk-lib";
import { Schedule } from "aws-cdk-lib/aws-events";
import { AwsSolutionsChecks } from "cdk-nag";
import { describe, expect, it } from "vitest";
import type { MicroBatchPipelineProps } from "../../../infra/props.ts";
import { Synthesized } from "../synthesize.ts";

describe("cdk-nag's AWS Solutions pack", () => {
  it.each<[string, Partial<MicroBatchPipelineProps> | ((scope: Stack) => Partial<MicroBatchPipelineProps>)]>([
    ["by default", {}],
    ["with a schedule", { schedule: Schedule.rate(Duration.minutes(1)) }],
    ["as an Express workflow", { workflow: "express" }],
    ["with traces", { tracing: true }],
  ])("The AWS Solutions pack of cdk-nag has no finding that is not explained, %s", (_name, props) => {
    const synthesized = new Synthesized(props as Partial<MicroBatchPipelineProps>);
    const pack = new AwsSolutionsChecks(synthesized.app);
    Validations.of(synthesized.app).addPlugins(pack);
    expect(() => synthesized.app.synth()).not.toThrow();
  });
});
