import { appendFileSync } from "node:fs";
import type { Schema } from "apache-arrow";
import type { TaskContext } from "../../../shared/contract/context.ts";
import { schemaToJson } from "../../../shared/contract/ddl/json.ts";
import type { JsonValue } from "../../../shared/contract/json.ts";
import type { Args, TaskId } from "../trace.ts";
import { sideOf } from "./side.ts";

/** The log of the recorded sources in the oracle's form, and the injection of their faults. */

/** Options as Spark passes them: all values are text. `trace` is the path of the log file. */
export type Options = { readonly trace: string; readonly [option: string]: string };

export function log(options: Options, call: string, args: Args, task?: TaskContext): void {
  const entry = { call, args, proc: sideOf(), ...(task === undefined ? {} : { task: taskId(task) }) };
  // One call writes the whole line, so that lines of several threads do not mix.
  appendFileSync(options.trace, `${JSON.stringify(entry)}\n`);
}

function taskId(task: TaskContext): TaskId {
  return {
    partitionId: task.partitionId,
    attemptNumber: task.attemptNumber,
    batchIdProp: String(task.batchId),
  };
}

class Fault extends Error {}

interface FaultOption {
  readonly point: string;
  readonly attempts_below?: number;
  readonly sleep?: number;
  readonly kill_jvm?: boolean;
  readonly raise?: boolean;
  readonly [where: string]: JsonValue | undefined;
}

/**
 * Injects the faults that the option `fault` has for this point. A sleep or a kill blocks the
 * thread like the original, because a process that is being killed must not continue.
 */
export function fault(options: Options, point: string, where: Args, task?: TaskContext): void {
  for (const option of JSON.parse(options["fault"] ?? "[]") as FaultOption[]) {
    if (option.point !== point) continue;
    if (Object.entries(where).some(([key, value]) => key in option && option[key] !== value)) continue;
    const { attempts_below: below, sleep, kill_jvm: kill, raise = true } = option;
    if (below !== undefined && task !== undefined && task.attemptNumber >= below) continue;
    if (sleep !== undefined) block(sleep);
    if (kill === true) {
      log(options, `!! kill -9 JVM from ${point}`, where, task);
      // From outside, because a run does not let a pipeline's code end its process.
      process.getBuiltinModule("node:child_process").execFileSync("kill", ["-9", String(process.pid)]);
      block(5);
    }
    if (raise) {
      log(options, `!! raise in ${point}`, where, task);
      throw new Fault(`injected fault at ${point} ${JSON.stringify(where)}`);
    }
  }
}

function block(seconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, seconds * 1000);
}

/** Returns the schema in the form of Spark's `simpleString`. */
export function ddlOf(schema: Schema): string {
  const fields = schemaToJson(schema).fields.map(({ name, type }) => `${name}:${type}`);
  return `struct<${fields.join(",")}>`;
}
