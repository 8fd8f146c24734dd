import { describe, expect, it } from "vitest";
import { triggerOf } from "../../functions/trigger.ts";
import { policyOf } from "../../shared/engine/run/policy.ts";

const once = { name: "orders", triggered: { once: true } } as const;
const interval = { name: "orders", triggered: { processingTime: "10 seconds" } } as const;

describe("the trigger of an execution", () => {
  it("is that of its input, else that of the construct, else the pipeline's, else availableNow", () => {
    expect(triggerOf("availableNow", "once", once)).toBe("availableNow");
    expect(triggerOf(undefined, "availableNow", once)).toBe("availableNow");
    expect(triggerOf(undefined, undefined, once)).toBe("once");
    expect(triggerOf(undefined, undefined, { name: "orders" })).toBe("availableNow");
  });

  it("is the input's only where it is one: whatever somebody wrote there is passed over", () => {
    expect(triggerOf("sometimes" as "once", undefined, once)).toBe("once");
  });

  it("of a pipeline that reads a batch is once, and nothing else can be asked for", () => {
    const batch = { name: "orders", saveMode: "append" } as const;
    expect(triggerOf(undefined, undefined, batch)).toBe("once");
    expect(() => triggerOf("availableNow", undefined, batch)).toThrow(
      expect.objectContaining({ code: "TRIGGER_INVALID" }),
    );
  });

  it("of a pipeline on an interval has one batch, under the reader's own limit", () => {
    const trigger = triggerOf(undefined, undefined, interval);
    expect(trigger).toBe("processingTime");
    expect(policyOf(trigger, { isBounded: false })).toEqual({ readsAll: false, maxBatches: 1 });
  });
});
