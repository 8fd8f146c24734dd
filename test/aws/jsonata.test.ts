import { describe, expect, it } from "vitest";
import { context, input, inputIs, inputWith, mapItem, type Template } from "../../shared/aws/jsonata.ts";
import type {
  ExecutionInput,
  Failed,
  Finalized,
  PlanEvent,
  Planned,
  TaskEnds,
  Work,
  WriteItem,
} from "../../shared/aws/state.ts";

describe("an expression over the state", () => {
  it("An expression over the state has the path of its function, at any depth and through optional fields", () => {
    expect(input((work: Work) => work)).toBe("{% $states.input %}");
    expect(input((work: Work) => work.run)).toBe("{% $states.input.run %}");
    expect(input((work: Work) => work.items?.key)).toBe("{% $states.input.items.key %}");
    expect(context(({ State }) => State.RetryCount)).toBe("{% $states.context.State.RetryCount %}");
    expect(mapItem((item: number) => item)).toBe("{% $states.context.Map.Item.Value %}");
  });

  it("An expression over the state compares a field with one of its values and adds fields", () => {
    expect(inputIs((planned: Planned) => planned.next, "Finalize")).toBe(
      '{% $states.input.next = "Finalize" %}',
    );
    expect(inputWith<TaskEnds>({ failed: "1", killed: "null" })).toBe(
      '{% $merge([$states.input, { "failed": 1, "killed": null }]) %}',
    );
  });

  it("An expression with a path that the state does not have does not compile", () => {
    // @ts-expect-error there is no such field
    expect(input((work: Work) => work.runs)).toBeDefined();
    // @ts-expect-error there is no such nested field
    expect(input((failed: Failed) => failed.error.hint)).toBeDefined();
    // @ts-expect-error some results of Plan have no such field
    expect(input((planned: Planned) => planned.todo)).toBeDefined();
    // @ts-expect-error Step Functions does not know it
    expect(context(({ Execution }) => Execution.Owner)).toBeDefined();
  });

  it("An expression with a value of `next` that does not exist does not compile", () => {
    // @ts-expect-error it names a state, and is no value of `next`
    expect(inputIs((planned: Planned) => planned.next, "Write")).toBeDefined();
    // @ts-expect-error Plan returns it, and not Finalize
    expect(inputIs((finalized: Finalized) => finalized.next, "WriteInline")).toBeDefined();
  });

  it("A payload that lacks a field, has another one or has one of another type does not compile", () => {
    const run = input((work: Work) => work.run);
    const partition = mapItem((item: number) => item);
    expect({ run, partition } satisfies Template<WriteItem>).toBeDefined();
    // @ts-expect-error the partition is missing
    expect({ run } satisfies Template<WriteItem>).toBeDefined();
    // @ts-expect-error it has no attempt
    expect({ run, partition, attempt: partition } satisfies Template<WriteItem>).toBeDefined();
    // @ts-expect-error a run is no number
    expect({ run: partition, partition } satisfies Template<WriteItem>).toBeDefined();
    // @ts-expect-error a text is not checked against the state
    expect({ run: "{% $states.input.run %}", partition } satisfies Template<WriteItem>).toBeDefined();
    const execution = { id: context(({ Execution }) => Execution.Id) };
    const asked = input((given: ExecutionInput) => given);
    // @ts-expect-error the nested start time is missing
    expect({ input: asked, execution } satisfies Template<PlanEvent>).toBeDefined();
    // @ts-expect-error a Map adds no such field
    expect(inputWith<TaskEnds>({ lost: "1" })).toBeDefined();
  });
});
