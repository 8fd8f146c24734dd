import { Duration, Stack } from "aws-cdk-lib";
import { describe, expect, it } from "vitest";
import { MicroBatchPipeline } from "../../../infra/micro-batch-pipeline.ts";
import type { MicroBatchPipelineProps } from "../../../infra/props.ts";
import { SETTINGS } from "../../../shared/aws/settings.ts";
import { PACKAGE } from "../../support/package.ts";
import { Synthesized } from "../synthesize.ts";

describe("the props of MicroBatchPipeline", () => {
  it.each<[string, Partial<MicroBatchPipelineProps>]>([
    ["writerMemory", { writerMemory: 64 }],
    ["maxConcurrency", { maxConcurrency: 0 }],
    ["maxAttempts", { maxAttempts: 1.5 }],
    ["distributeAbove", { distributeAbove: 1001 }],
    ["writerTimeout", { writerTimeout: Duration.minutes(16) }],
    ["timeout", { timeout: Duration.minutes(16) }],
    ["timeout", { workflow: "express", timeout: Duration.minutes(6) }],
    ["distributeAbove", { workflow: "express", distributeAbove: 10 }],
    ["stalledAfter", { alarms: { stalledAfter: Duration.days(8) } }],
    ["stallAfter", { stallAfter: Duration.minutes(15) }],
    ["stallAfter", { stallAfter: Duration.minutes(2), workflow: "express" }],
    ["stallAfter", { stallAfter: Duration.seconds(0) }],
    ["vpcSubnets", { vpcSubnets: { subnetGroupName: "apps" } }],
    ["securityGroups", { securityGroups: [] }],
    [SETTINGS.table.variable, { environment: { [SETTINGS.table.variable]: "mine" } }],
  ])("The construct refuses wrong props and says what would be right: %s", (name, props) => {
    expect(() => new Synthesized(props)).toThrow(
      expect.objectContaining({
        code: "PROPS_INVALID",
        message: expect.stringContaining(name),
        hint: expect.any(String),
      }),
    );
  });

  it("The props name the pipeline as its file does", () => {
    const stack = new Stack(new Synthesized().app, "Other");
    const pipeline = new MicroBatchPipeline(stack, "Pipeline", {
      entry: `${PACKAGE}/examples/earthquakes/pipeline.ts`,
    });
    expect(pipeline.pipelineName).toBe("earthquakes");
  });

  it("The construct refuses a pipeline's file that is missing or has no pipeline", () => {
    const stack = new Stack(new Synthesized().app, "Other");
    const make = (entry: string) => () => new MicroBatchPipeline(stack, entry.replace(/\W/g, ""), { entry });
    expect(make("no-such-file.ts")).toThrow(expect.objectContaining({ code: "PIPELINE_FILE_NOT_FOUND" }));
    expect(make("examples/earthquakes/feed.ts")).toThrow(
      expect.objectContaining({ code: "PIPELINE_NOT_EXPORTED" }),
    );
  });
});
