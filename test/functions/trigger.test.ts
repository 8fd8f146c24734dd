import { describe, expect, it } from "vitest";
import { triggerOfExecution } from "../../functions/trigger.ts";
import { policyOf } from "../../shared/engine/run/policy.ts";

const once = { name: "orders", triggered: { once: true } } as const;
const interval = { name: "orders", triggered: { processingTime: "10 seconds" } } as const;

describe("the trigger of an execution", () => {
  it("The trigger of an execution is the input's, else the construct's, else the pipeline's, else availableNow", () => {
    expect(triggerOfExecution("availableNow", "once", once)).toBe("availableNow");
    expect(triggerOfExecution(undefined, "availableNow", once)).toBe("availableNow");
    expect(triggerOfExecution(undefined, undefined, once)).toBe("once");
    expect(triggerOfExecution(undefined, undefined, { name: "orders" })).toBe("availableNow");
  });

  it("The trigger of the input counts only if it is valid, and any other value is ignored", () => {
    expect(triggerOfExecution("sometimes" as "once", undefined, once)).toBe("once");
  });

  it("The trigger of a batch pipeline is once, and no other can be requested", () => {
    const batch = { name: "orders", saveMode: "append" } as const;
    expect(triggerOfExecution(undefined, undefined, batch)).toBe("once");
    expect(() => triggerOfExecution("availableNow", undefined, batch)).toThrow(
      expect.objectContaining({ code: "TRIGGER_INVALID" }),
    );
  });

  it("An execution of a pipeline on an interval has one batch, under the reader's own limit", () => {
    const trigger = triggerOfExecution(undefined, undefined, interval);
    expect(trigger).toBe("processingTime");
    expect(policyOf(trigger, { isBounded: false })).toEqual({ readsAll: false, maxBatches: 1 });
  });
});
