import type { JsonValue } from "../../../shared/contract/json.ts";
import { isWrite, messageOf } from "./calls.ts";
import { differ } from "./difference.ts";
import type { BatchWriteOp, StreamOp } from "./op.ts";
import type { Attempt, Run } from "./trace.ts";

type Row = readonly JsonValue[];

/** The rows of a task, in the order in which its writer got them. */
interface TaskRows {
  readonly partition: number;
  readonly rows: readonly Row[];
}

/**
 * Checks what Spark promises about the tasks of a write, where it does not say which rows each
 * gets: the number if it is strict, equal values in one task, the order of the tasks, and within
 * each.
 */
export function checkPlacement(where: string, run: Run): void {
  const { op } = run;
  if (op.kind !== "batchWrite" && op.kind !== "stream") return;
  for (const epoch of new Set(run.attempts.map((attempt) => attempt.epoch))) {
    const tasks = run.attempts.filter((attempt) => attempt.epoch === epoch && messageOf(attempt) !== null);
    new Placement(`${where}, epoch ${epoch}`, op, tasks).check();
  }
}

class Placement {
  readonly #where: string;
  readonly #op: BatchWriteOp | StreamOp;
  readonly #tasks: readonly TaskRows[];
  readonly #columns: readonly string[];

  constructor(where: string, op: BatchWriteOp | StreamOp, attempts: readonly Attempt[]) {
    this.#where = where;
    this.#op = op;
    this.#columns = op.rows.schema.split(",").map((column) => column.trim().split(" ")[0] ?? "");
    this.#tasks = attempts
      .map(({ partition, calls }) => ({
        partition,
        rows: calls.filter(isWrite).map(({ args }) => args["row"] as Row),
      }))
      .sort((a, b) => a.partition - b.partition);
  }

  check(): void {
    const { distribution = "unspecified", ordering = "", numPartitions = "0", strict } = this.#op.options;
    const isStrict = strict !== "false";
    const [kind, by = ""] = distribution.split(":");
    if (isStrict && Number(numPartitions) > 0) this.#checkNumber(Number(numPartitions));
    if (isStrict && kind === "clustered") this.#checkClusters(by.split(","));
    if (kind === "ordered") this.#checkRanges(by);
    if (ordering !== "")
      for (const { partition, rows } of this.#tasks) this.#checkOrder(partition, rows, ordering);
  }

  #checkNumber(expected: number): void {
    if (this.#tasks.length !== expected)
      differ(`${this.#where}, number of tasks`, String(expected), String(this.#tasks.length));
  }

  #checkClusters(columns: readonly string[]): void {
    const taskOf = new Map<string, number>();
    for (const { partition, rows } of this.#tasks)
      for (const row of rows) {
        const key = JSON.stringify(columns.map((column) => this.#value(row, column)));
        const known = taskOf.get(key) ?? partition;
        taskOf.set(key, known);
        if (known !== partition) differ(`${this.#where}, task of ${key}`, String(known), String(partition));
      }
  }

  #checkRanges(column: string): void {
    let before = Number.NEGATIVE_INFINITY;
    for (const { partition, rows } of this.#tasks) {
      const values = rows.map((row) => Number(this.#value(row, column)));
      if (values.some((value) => value < before))
        differ(`${this.#where}, range of task ${partition}`, `from ${before}`, values.join());
      before = Math.max(before, ...values);
    }
  }

  #checkOrder(partition: number, rows: readonly Row[], ordering: string): void {
    const orders = ordering.split(",").map((order) => order.split(" ") as [string, string?]);
    const compare = (a: Row, b: Row): number => {
      for (const [column, direction] of orders) {
        const [left, right] = [Number(this.#value(a, column)), Number(this.#value(b, column))];
        if (left !== right) return direction === "desc" ? right - left : left - right;
      }
      return 0;
    };
    const at = rows.findIndex((row, i) => i > 0 && compare(rows[i - 1] ?? row, row) > 0);
    if (at >= 0)
      differ(
        `${this.#where}, order in task ${partition}`,
        ordering,
        JSON.stringify(rows.slice(at - 1, at + 1)),
      );
  }

  #value(row: Row, column: string): JsonValue {
    return row[this.#columns.indexOf(column)] ?? null;
  }
}
