import aslValidator from "asl-validator";
import { Duration } from "aws-cdk-lib";
import { describe, expect, it } from "vitest";
import type { MicroBatchPipelineProps } from "../../infra/props.ts";
import { STEP_ERROR } from "../../shared/aws/names.ts";
import { SETTINGS } from "../../shared/aws/settings.ts";
import { type Asl, type AslState, Synthesized } from "./synthesize.ts";

const VARIANTS: Readonly<Record<string, Partial<MicroBatchPipelineProps>>> = {
  standard: {},
  "standard with Express children": { writerTimeout: Duration.seconds(50) },
  "standard with one attempt": { maxAttempts: 1, maxConcurrency: 5, distributeAbove: 0 },
  express: { workflow: "express" },
};

/** Returns all states of a state machine, including the states in Maps. */
function statesOf({ States }: Pick<Asl, "States">): (readonly [string, AslState])[] {
  return Object.entries(States).flatMap(([name, state]) => [
    [name, state] as const,
    ...(state.ItemProcessor === undefined ? [] : statesOf(state.ItemProcessor)),
  ]);
}

const named = (asl: Asl, name: string): AslState => {
  const state = statesOf(asl).find(([stateName]) => stateName === name)?.[1];
  if (state === undefined) throw new Error(`there is no state "${name}"`);
  return state;
};

type Catch = readonly { readonly ErrorEquals: readonly string[]; readonly Next: string }[];
type Retry = readonly {
  readonly ErrorEquals: readonly string[];
  readonly MaxAttempts: number;
  readonly JitterStrategy?: string;
}[];

describe.each(Object.entries(VARIANTS))("the state machine, %s", (_name, props) => {
  const { asl } = new Synthesized(props);

  it("The state machine equals its last reviewed snapshot", () => {
    expect(asl).toMatchSnapshot();
  });

  it("The state machine is valid Amazon States Language", () => {
    const { isValid, errorsText } = aslValidator(asl);
    expect(errorsText()).toBe("");
    expect(isValid).toBe(true);
  });

  it("The state machine retries errors of the Lambda service with jitter, in every task with a function", () => {
    const tasks = statesOf(asl).filter(([, state]) => String(state["Resource"]).endsWith(":lambda:invoke"));
    expect(tasks.length).toBeGreaterThanOrEqual(3);
    for (const [, task] of tasks) {
      const [throttled, service, final] = task["Retry"] as Retry;
      // Lambda is free again only when other executions have ended. An execution of five minutes
      // cannot wait for that.
      const attempts = task["TimeoutSeconds"] === 930 || asl.TimeoutSeconds > 300 ? [8, 60] : [8];
      expect(throttled).toMatchObject({
        ErrorEquals: ["Lambda.TooManyRequestsException"],
        JitterStrategy: "FULL",
      });
      expect(attempts).toContain(throttled?.MaxAttempts);
      expect(service).toMatchObject({ JitterStrategy: "FULL", MaxAttempts: 8 });
      expect(service?.ErrorEquals).toContain("Lambda.ServiceException");
      expect(final).toEqual({ ErrorEquals: [STEP_ERROR.final], MaxAttempts: 0 });
    }
  });

  it("The state machine calls a task again that was denied its commit, whatever its number of attempts is", () => {
    for (const map of Object.values(asl.States).filter((state) => state.Type === "Map")) {
      const [write] = Object.values(map.ItemProcessor?.States ?? {});
      const [, , , denied] = (write?.["Retry"] ?? []) as Retry;
      expect(denied).toMatchObject({ ErrorEquals: [STEP_ERROR.denied], MaxAttempts: 8 });
    }
  });

  it("The state machine continues from each Map, also if the Map itself fails: to Finalize, or to Plan stage if tasks exchanged rows", () => {
    const maps = Object.entries(asl.States).filter(([, state]) => state.Type === "Map");
    const isDistributed = maps.length === 4;
    expect(maps.map(([name]) => name).toSorted()).toEqual(
      [
        "Exchange partitions",
        "Write partitions",
        ...(isDistributed ? ["Exchange many partitions", "Write many partitions"] : []),
      ].toSorted(),
    );
    expect(isDistributed).toBe(props.workflow !== "express");
    for (const [name, map] of maps) {
      const next = name.startsWith("Exchange") ? "Plan stage" : "Finalize";
      expect(map.Next).toBe(next);
      const [all] = map["Catch"] as Catch;
      expect(all?.ErrorEquals).toEqual(["States.ALL"]);
      expect(asl.States[all?.Next ?? ""]).toMatchObject({ Type: "Pass", Next: next });
    }
  });

  it("The state machine plans the stage after an exchange with the function that plans a batch, and chooses again", () => {
    const [plan, planStage] = [named(asl, "Plan"), named(asl, "Plan stage")];
    const called = (state: AslState) => (state["Arguments"] as { FunctionName: string }).FunctionName;
    expect(called(planStage)).toBe(called(plan));
    expect(planStage).toMatchObject({
      Arguments: { Payload: { exchanged: "{% $states.input %}" } },
      Output: "{% $states.result.Payload %}",
      Retry: plan["Retry"],
      Next: "Anything to do?",
    });
  });

  it("The state machine has tasks that never fail their Map, because a failure is a result", () => {
    for (const map of Object.values(asl.States).filter((state) => state.Type === "Map")) {
      const states = map.ItemProcessor?.States ?? {};
      const [write] = Object.values(states);
      const [all] = (write?.["Catch"] ?? []) as Catch;
      expect(all?.ErrorEquals).toEqual(["States.ALL"]);
      expect(states[all?.Next ?? ""]).toMatchObject({ Type: "Pass", End: true });
      // The Map needs no limit of failures, because a failed task counts as a result.
      expect(Object.keys(map).filter((key) => key.startsWith("ToleratedFailure"))).toEqual([]);
    }
  });

  it("The state machine passes Write the run, a number and its retry count, and no growing value", () => {
    for (const map of Object.values(asl.States).filter((state) => state.Type === "Map")) {
      const [write] = Object.values(map.ItemProcessor?.States ?? {});
      expect(write).toMatchObject({
        Arguments: {
          Payload: {
            run: "{% $states.input.run %}",
            partition: "{% $states.input.partition %}",
            attemptNumber: "{% $states.context.State.RetryCount %}",
          },
        },
        Output: "{% 0 %}",
      });
    }
  });
});

describe("the state machine", () => {
  it("The state machine runs at most 40 partitions at a time inline, and many partitions distributed", () => {
    const { asl } = new Synthesized();
    expect(named(asl, "Write partitions")).toMatchObject({
      MaxConcurrency: 40,
      Items: "{% $states.input.todo %}",
      ItemProcessor: { ProcessorConfig: { Mode: "INLINE" } },
    });
    expect(named(asl, "Write many partitions")).toMatchObject({
      MaxConcurrency: 500,
      ItemProcessor: { ProcessorConfig: { Mode: "DISTRIBUTED", ExecutionType: "STANDARD" } },
      ItemReader: {
        Resource: "arn:aws:states:::s3:getObject",
        ReaderConfig: { InputType: "JSON" },
        Arguments: { Key: "{% $states.input.items.key %}" },
      },
    });
    expect(named(asl, "Exchange partitions")).toMatchObject({
      MaxConcurrency: 40,
      Items: "{% $states.input.todo %}",
      ItemProcessor: { ProcessorConfig: { Mode: "INLINE" } },
    });
    expect(named(asl, "Exchange many partitions")).toMatchObject({
      MaxConcurrency: 500,
      ItemProcessor: { ProcessorConfig: { Mode: "DISTRIBUTED", ExecutionType: "STANDARD" } },
      ItemReader: { Arguments: { Key: "{% $states.input.items.key %}" } },
    });
    expect(named(asl, "Anything to do?")["Choices"]).toMatchObject([
      { Condition: '{% $states.input.next = "ExchangeInline" %}', Next: "Exchange partitions" },
      { Condition: '{% $states.input.next = "WriteInline" %}', Next: "Write partitions" },
      { Condition: '{% $states.input.next = "ExchangeDistributed" %}', Next: "Exchange many partitions" },
      { Condition: '{% $states.input.next = "WriteDistributed" %}', Next: "Write many partitions" },
      { Condition: '{% $states.input.next = "PlanStage" %}', Next: "Plan stage" },
      { Condition: '{% $states.input.next = "Finalize" %}', Next: "Finalize" },
    ]);
    expect(
      new Synthesized({ distributeAbove: 7 }).environment("Plan")[SETTINGS.distributeAbove.variable],
    ).toBe("7");
  });

  it("The state machine has Express children if all attempts of a task fit into five minutes", () => {
    const kindFor = (seconds: number, maxAttempts: number) =>
      named(
        new Synthesized({ writerTimeout: Duration.seconds(seconds), maxAttempts }).asl,
        "Write many partitions",
      ).ItemProcessor?.ProcessorConfig["ExecutionType"];
    // The time limit includes 121 s for retries when a service is busy.
    expect(kindFor(178, 1)).toBe("EXPRESS");
    expect(kindFor(179, 1)).toBe("STANDARD");
    // With three attempts, the retries add waits of 2 s and 4 s.
    expect(kindFor(57, 3)).toBe("EXPRESS");
    expect(kindFor(58, 3)).toBe("STANDARD");
  });

  it("An Express state machine has no distributed Map and logs by itself", () => {
    const express = new Synthesized({ workflow: "express" });
    const states = Object.keys(express.asl.States);
    expect(states).toEqual(expect.arrayContaining(["Exchange partitions", "Plan stage", "Write partitions"]));
    expect(states.filter((state) => state.includes("many"))).toEqual([]);
    expect(express.environment("Plan")[SETTINGS.distributeAbove.variable]).toBe("never");
    expect(express.one("AWS::StepFunctions::StateMachine")).toMatchObject({
      StateMachineType: "EXPRESS",
      LoggingConfiguration: { Level: "ALL" },
    });
  });

  it("The state machine ends before its lease does, in both kinds of workflow, whatever the time-out is", () => {
    for (const props of [{}, { timeout: Duration.hours(1) }, { workflow: "express" as const }]) {
      const synthesized = new Synthesized(props);
      const lease = Number(synthesized.environment("Plan")[SETTINGS.leaseMilliseconds.variable]);
      // A function that starts at the end of the execution may still run for its whole time limit.
      const longest = "workflow" in props ? 120 : 900;
      expect(lease).toBeGreaterThan(synthesized.asl.TimeoutSeconds + longest);
    }
  });

  it("The state machine waits for a function longer than the function runs", () => {
    const synthesized = new Synthesized({
      writerTimeout: Duration.seconds(100),
      plannerTimeout: Duration.seconds(50),
    });
    expect(named(synthesized.asl, "Write")["TimeoutSeconds"]).toBe(130);
    expect(named(synthesized.asl, "Plan")["TimeoutSeconds"]).toBe(80);
    expect(named(synthesized.asl, "Finalize")["TimeoutSeconds"]).toBe(80);
  });

  it("The state machine retries the start of a new execution, because a schedule may not start one", () => {
    const { asl } = new Synthesized();
    expect(named(asl, "Go on in a new execution")["Retry"]).toMatchObject([
      { ErrorEquals: ["States.ALL"], MaxAttempts: 5, JitterStrategy: "FULL" },
    ]);
  });

  it("The state machine tries a task as often as maxAttempts says, and the function knows the number", () => {
    const five = new Synthesized({ maxAttempts: 5 });
    expect((named(five.asl, "Write")["Retry"] as Retry)[4]).toMatchObject({
      ErrorEquals: ["States.ALL"],
      MaxAttempts: 4,
    });
    expect(five.environment("Write")[SETTINGS.maxAttempts.variable]).toBe("5");
  });
});
