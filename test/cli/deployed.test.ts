import type { SFNClient } from "@aws-sdk/client-sfn";
import { describe, expect, it } from "vitest";
import { describeExecution } from "../../cli/deployed/execution.ts";
import { parseOutput } from "../../cli/deployed/stack.ts";
import { OUTPUT, OUTPUT_VERSION } from "../../shared/aws/names.ts";
import { type Continued, type Done, type NextExecution, WHY_DONE } from "../../shared/aws/state.ts";

describe("the output of a stack", () => {
  const oldest = {
    [OUTPUT.version]: OUTPUT_VERSION,
    [OUTPUT.pipeline]: "orders",
    [OUTPUT.table]: "ledger",
    [OUTPUT.stateMachine]: "arn:machine",
    [OUTPUT.vacuum]: "Shop-Orders-Vacuum",
  };
  const parts = {
    pipeline: "orders",
    table: "ledger",
    stateMachineArn: "arn:machine",
    vacuumFunction: "Shop-Orders-Vacuum",
  };

  it("The output of a stack says where the parts of a pipeline are", () => {
    const output = { ...oldest, [OUTPUT.bucket]: "store", [OUTPUT.prefix]: "orders" };
    expect(parseOutput(JSON.stringify(output))).toEqual({ ...parts, bucket: "store", prefix: "orders" });
  });

  it("The output of an older construct is read without a store", () => {
    expect(parseOutput(JSON.stringify(oldest))).toEqual(parts);
  });

  it.each([undefined, "", "https://example.com", "{}", '{"millrace":2}'])(
    "An output of a stack that is not Millrace's is skipped: %s",
    (value) => {
      expect(parseOutput(value)).toBeUndefined();
    },
  );
});

describe("a described execution", () => {
  const described = (answer: Readonly<Record<string, unknown>>) =>
    describeExecution({ send: async () => answer } as unknown as SFNClient, "arn:execution");
  const succeeded = (output: Done | (Continued & NextExecution)) =>
    described({ status: "SUCCEEDED", output: JSON.stringify(output) });

  it("A described execution is running or has done its work", async () => {
    expect(await described({ status: "RUNNING" })).toEqual({ status: "running" });
    expect(await succeeded({ next: "Done", why: WHY_DONE.committed })).toEqual({
      status: "succeeded",
      isRefused: false,
      isContinued: false,
    });
  });

  it("A described execution is refused if another run has the pipeline", async () => {
    expect(await succeeded({ next: "Done", why: WHY_DONE.refused })).toMatchObject({ isRefused: true });
  });

  it("A described execution names the execution that continues it", async () => {
    expect(await succeeded({ next: "Continue", input: {}, execution: "arn:next" })).toMatchObject({
      isContinued: true,
      continuedBy: "arn:next",
    });
  });

  it("A described execution says why it failed, in the words of the function", async () => {
    const cause = JSON.stringify({ errorMessage: "SINK_FAILED: write() failed" });
    expect(await described({ status: "FAILED", error: "Millrace.Final", cause })).toEqual({
      status: "failed",
      problem: "FAILED: Millrace.Final: SINK_FAILED: write() failed",
    });
    expect(await described({ status: "TIMED_OUT" })).toEqual({ status: "failed", problem: "TIMED_OUT" });
  });
});
