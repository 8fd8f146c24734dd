import { Tags } from "aws-cdk-lib";
import { describe, expect, it } from "vitest";
import type { MicroBatchPipelineProps } from "../../infra/props.ts";
import { PACKAGE } from "../support/package.ts";
import { Synthesized } from "./synthesize.ts";

const STEPS = ["Finalize", "Plan", "Write"];

function versionsOf(stack: Synthesized) {
  return Object.entries(stack.template.findResources("AWS::Lambda::Version"));
}

/** Returns the logical ids of the versions. A new id makes CloudFormation create a new version. */
const idsOf = (stack: Synthesized) => versionsOf(stack).map(([id]) => id);
const idsWith = (props: Partial<MicroBatchPipelineProps>) => idsOf(new Synthesized(props));

describe("the versions of the functions", () => {
  it("Each step of a batch calls a version, so that a running execution keeps its code", () => {
    const { asl } = new Synthesized();
    const names = JSON.stringify(asl).match(/"FunctionName":"[^"]*"/g) ?? [];
    // Plan, Plan stage, Finalize, and Write in two Maps for writing and two for exchanging rows.
    expect(names).toHaveLength(7);
    for (const name of names) expect(name).toMatch(/:function:orders(plan|write|finalize)[0-9a-f]{8}:1"$/);
  });

  it("A version outlives the next deployment, but not a failed deployment that created it", () => {
    const versions = versionsOf(new Synthesized());
    expect(versions.map(([id]) => /^Orders([A-Z][a-z]+)/.exec(id)?.[1]).sort()).toEqual(STEPS);
    for (const [, version] of versions)
      expect(version).toMatchObject({
        DeletionPolicy: "RetainExceptOnCreate",
        UpdateReplacePolicy: "Retain",
      });
  });

  it("Other code or other settings make new versions, and a tag makes none", () => {
    const before = idsWith({});
    const entry = `${PACKAGE}/test/infra/lake.pipeline.ts`;
    expect(idsWith({})).toEqual(before);
    for (const id of idsWith({ environment: { SHOP: "1" } })) expect(before).not.toContain(id);
    for (const id of idsWith({ entry, pipelineName: "orders" })) expect(before).not.toContain(id);
    const tagged = new Synthesized();
    Tags.of(tagged.stack).add("team", "data");
    expect(idsOf(tagged)).toEqual(before);
  });
});
