import { describe, expect, it } from "vitest";
import {
  batchOf,
  committed,
  control,
  is,
  landed,
  numbers,
  ONCE,
  once,
  upTo,
  usePipelines,
} from "./pipelines.ts";

usePipelines();

describe("a sink's commit", () => {
  it("A sink's commit that fails after it has taken effect counts as done", async () => {
    control.available = 8;
    control.deed = once("fail", is("after commit"));
    expect(await numbers.execute(ONCE)).toMatchObject(committed());
    expect(await landed()).toEqual(upTo(8));
  });

  it("A sink's commit that fails before it takes effect aborts the batch, which is replayed", async () => {
    control.available = 8;
    control.deed = once("fail", is("before commit"));
    const failed = await numbers.execute(ONCE);
    expect(failed).toMatchObject({ status: "FAILED", error: "SINK_FAILED" });
    expect(failed.cause).toContain("commit() failed: Error (pipeline numbers, batchId 0, attempt 1)");
    expect(control.of("abort")).toHaveLength(1);
    expect(await numbers.execute(ONCE)).toMatchObject(committed(0, 8, 2));
    expect(await landed()).toEqual(upTo(8));
  });
});

describe("a source's commit(end) that fails", () => {
  it("A failed acknowledgement fails the execution after the commit, and the next one repeats it first", async () => {
    control.available = 8;
    control.deed = once("fail", is("commit offset"));
    const failed = await numbers.execute(ONCE);
    expect(failed).toMatchObject({ status: "FAILED", error: "SOURCE_FAILED" });
    expect(failed.cause).toContain("commit() failed: Error");
    expect(await batchOf(numbers)).toMatchObject({ state: "committed" });
    expect(await landed()).toEqual(upTo(8));

    control.calls.length = 0;
    control.available = 16;
    expect(await numbers.execute(ONCE)).toMatchObject(committed(1));
    expect(control.calls[0]).toMatchObject({ call: "commit offset", to: 8 });
    expect(control.of("commit offset").map(({ to }) => to)).toEqual([8, 16]);
    expect(await landed()).toEqual(upTo(16));
  });
});
