import type { JsonValue } from "../../shared/contract/json.ts";
import type { FilterJson } from "./python-repr.ts";
import type { Args, Call, Run, TaskCalls } from "./trace.ts";

/** A partition of the recorded source. */
export type Part = { readonly idx: number; readonly start: number; readonly end: number };

/**
 * The settings with which the replay repeats one action of a batch. A recording does not list them,
 * so they are derived from its calls.
 */
export interface BatchStep {
  /** Whether the action reads or writes the recorded data source. */
  readonly kind: "read" | "write";
  /** The name by which the driver program selects the data source. */
  readonly format: string;
  readonly options: Readonly<Record<string, string>>;
  /** Schema of the rows that are read or written, as Spark DDL. */
  readonly columns: string;
  /** True if the driver set the schema. */
  readonly isUserSchema: boolean;
  readonly filters: readonly FilterJson[];
  /** Partitions to read. */
  readonly parts: readonly Part[];
  /** Number of rows in each partition to write. */
  readonly rows: readonly number[];
  readonly mode: string;
}

/** The name of the class `B` in sources.py. */
const NAME = "FzBatch";
const PARTS: readonly Part[] = [
  { idx: 0, start: 0, end: 10 },
  { idx: 1, start: 10, end: 20 },
];
const WRITTEN = "struct<id:bigint>";

/**
 * Returns the settings of a run's action, or `undefined` if its calls do not show them. If the
 * action ended early, missing settings come from another action of the recording.
 */
export function stepOf(run: Run, all: readonly Run[]): BatchStep | undefined {
  const { made, driver, start, ended } = run;
  const isMade = (name: string) => [...made, ...driver].find(({ call }) => call === name);
  const reader = isMade("reader.__init__");
  const writer = isMade("writer.__init__");
  const [, refusedMode] = /cannot be written in the \\+"(\w+)\\+" mode/.exec(ended?.exception ?? "") ?? [];
  if (reader === undefined && writer === undefined && refusedMode === undefined) return undefined;
  const schema = String((reader ?? writer)?.args["schema"] ?? WRITTEN);
  const [, named] = /format name .*'(\w+)'/.exec(start.label) ?? [];
  const faults = faultsOf(run);
  return {
    kind: reader === undefined ? "write" : "read",
    format: named ?? NAME,
    options: {
      ...(isMade("DataSource.__init__")?.args["options"] as Record<string, string> | undefined),
      ...(faults.length === 0 ? {} : { fault: JSON.stringify(faults) }),
    },
    columns: schema.replace(/^struct<(.*)>$/, "$1"),
    isUserSchema: isMade("DataSource.schema") === undefined,
    filters: (driver.find(({ call }) => call === "reader.pushFilters")?.args["filters"] ??
      []) as FilterJson[],
    parts: partsOf(run, all),
    rows: rowsOf(run, all),
    mode: refusedMode ?? (writer?.args["overwrite"] === true ? "overwrite" : "append"),
  };
}

/** Returns the partitions that an action reads. If it reads none, returns those of all actions. */
export function partsOf(run: Run, all: readonly Run[]): readonly Part[] {
  const own = partsRead([run]);
  if (own.length > 0) return own;
  const others = partsRead(all);
  return others.length > 0 ? others : PARTS;
}

/** Returns the text of a partition, as in sources.py. */
export function reprOf({ idx, start, end }: Part): string {
  return `Part(idx=${idx},start=${start},end=${end})`;
}

function partsRead(runs: readonly Run[]): readonly Part[] {
  const parts = new Map<number, Part>();
  for (const { args } of runs.flatMap(({ tasks }) => tasks.flatMap(({ reader }) => reader))) {
    const [idx, start, end] = String(args["partition"] ?? "").match(/\d+/g) ?? [];
    if (end !== undefined)
      parts.set(Number(idx), { idx: Number(idx), start: Number(start), end: Number(end) });
  }
  return [...parts.values()].sort((a, b) => a.idx - b.idx);
}

/**
 * Returns the number of rows of each partition, as the writer of its task counted them. If the
 * writer ended early, the count comes from another action.
 */
function rowsOf(run: Run, all: readonly Run[]): readonly number[] {
  const messages = run.driver.map(({ args }) => ((args["messages"] ?? []) as JsonValue[]).length);
  const count = Math.max(0, ...messages, ...run.tasks.map(({ partition }) => partition + 1));
  const rowsIn = (runs: readonly Run[], index: number) =>
    runs
      .flatMap(({ tasks }) => tasks)
      .filter(({ partition }) => partition === index)
      .map(writtenRows)
      .find((rows) => rows !== undefined);
  const rows = Array.from({ length: count }, (_, i) => rowsIn([run], i) ?? rowsIn(all, i) ?? 0);
  // Spark runs one task if there are no partitions.
  return rows.length === 1 && rows[0] === 0 ? [] : rows;
}

function writtenRows({ writer }: TaskCalls): number | undefined {
  const exit = writer.find(({ call }) => call === "writer.write:exit");
  return exit === undefined ? undefined : Number(exit.args["rows"]);
}

/** Returns the faults of a run in the form of the option `fault`, which injects them. */
function faultsOf({ driver, tasks }: Run): readonly Args[] {
  const faults = faultsIn(driver);
  for (const index of new Set(tasks.map(({ partition }) => partition))) {
    const attempts = tasks.filter(({ partition }) => partition === index);
    const failed = attempts.filter(({ reader, writer }) => faultsIn([...reader, ...writer]).length > 0);
    const [fault] = failed.flatMap(({ reader, writer }) => faultsIn([...reader, ...writer]));
    if (fault === undefined) continue;
    const below = Math.max(...failed.map(({ attempt }) => attempt)) + 1;
    const hasRecovered = attempts.some(({ attempt }) => attempt >= below);
    faults.push(hasRecovered ? { ...fault, attempts_below: below } : fault);
  }
  return faults;
}

function faultsIn(calls: readonly Call[]): Args[] {
  return calls.map(faultOf).filter((fault) => fault !== undefined);
}

function faultOf({ call, args }: Call): Args | undefined {
  const [, what, point] = /^!! (raise in|kill -9 JVM from) (.+)$/.exec(call) ?? [];
  if (point === undefined) return undefined;
  return { ...args, point, ...(what === "raise in" ? {} : { kill_jvm: true }) };
}
