import { describe, expect, it } from "vitest";
import { checkPlacement } from "./check-placement.ts";
import type { BatchWriteOp } from "./op.ts";
import type { Attempt, Run } from "./trace.ts";

type Rows = readonly (readonly number[])[];

/** A statement whose tasks wrote these rows. */
function runOf(options: Readonly<Record<string, string>>, ...tasks: readonly Rows[]): Run {
  const op = { kind: "batchWrite", options, rows: { schema: "id BIGINT,p INT", partitions: [] } };
  const attempts = tasks.map(
    (rows, partition): Attempt => ({
      epoch: 0,
      partition,
      attempt: 0,
      calls: [
        ...rows.map((row, n) => ({ call: "DataWriter.write", args: { n, row } })),
        { call: "DataWriter.commit:return", args: { message: { partition } } },
      ],
    }),
  );
  return { kind: "run", op: op as unknown as BatchWriteOp, driver: [], attempts, end: undefined };
}

const check =
  (...given: Parameters<typeof runOf>) =>
  () =>
    checkPlacement("statement", runOf(...given));

describe("The check of where rows are", () => {
  it("Accepts what was asked for", () => {
    const asked = { distribution: "clustered:p", numPartitions: "2", ordering: "id desc" };
    expect(
      check(
        asked,
        [
          [3, 0],
          [1, 0],
        ],
        [[2, 1]],
      ),
    ).not.toThrow();
  });

  it("Sees another number of tasks than a strict one", () => {
    expect(check({ distribution: "clustered:p", numPartitions: "3" }, [[1, 0]])).toThrow("number of tasks");
    expect(
      check({ distribution: "clustered:p", numPartitions: "3", strict: "false" }, [[1, 0]]),
    ).not.toThrow();
  });

  it("Sees equal values in two tasks", () => {
    expect(check({ distribution: "clustered:p" }, [[1, 0]], [[2, 0]])).toThrow("task of [0]");
  });

  it("Sees ranges that overlap", () => {
    expect(
      check(
        { distribution: "ordered:id" },
        [
          [1, 0],
          [5, 0],
        ],
        [[4, 0]],
      ),
    ).toThrow("range of task 1");
  });

  it("Sees rows that are out of order", () => {
    expect(
      check({ ordering: "p,id desc" }, [
        [1, 0],
        [2, 0],
      ]),
    ).toThrow("order in task 0");
  });
});
