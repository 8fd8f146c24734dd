import { partsOf, reprOf } from "../batch-step.ts";
import type { FilterJson } from "../python-repr.ts";
import type { Args, Call, Run } from "../trace.ts";
import { changeEach, isCall, type Rewrite } from "./rewrite.ts";

const isRead = ({ made }: Run): boolean => made.some((call) => isCall(call, "reader.__init__"));
const pushOf = ({ driver }: Run): Call | undefined =>
  driver.find((call) => isCall(call, "reader.pushFilters"));

/** Returns the number of rows that an action can read. */
const rowsIn = (run: Run, runs: readonly Run[]): number =>
  partsOf(run, runs).reduce((rows, { start, end }) => rows + end - start, 0);

/** Makes a run read all rows, without a filter. */
function readAll(run: Run, runs: readonly Run[]): void {
  const parts = partsOf(run, runs);
  run.tasks = parts.map((part, partition) => {
    const where = { partition: reprOf(part) };
    const reader = [
      { call: "reader.read:enter", args: { ...where, filters_seen: [] } },
      { call: "reader.read:exit", args: where },
    ];
    return { batch: 0, partition, attempt: 0, reader, writer: [] };
  });
  run.ended = { failed: false, faults: [], value: rowsIn(run, runs) };
}

const partitionBy: Rewrite = {
  id: "no-partition-by",
  reason:
    "A batch has no `partitionBy`: how a target is divided is one of the sink's own options (docs/spark-differences.md). Spark knows it, and refuses it for all data sources that are written in Python.",
  rewrite(runs) {
    const kept = runs.filter(
      ({ ended, made, driver }) =>
        !(ended?.exception ?? "").includes("partitioning or clustering columns do not match") ||
        made.length + driver.length > 0,
    );
    const used = kept.length < runs.length;
    runs.splice(0, runs.length, ...kept);
    return used;
  },
};

const optionNames: Rewrite = {
  id: "option-names-as-written",
  reason:
    "Options are found under names of any case, as in Spark, and listed as the pipeline writes them, so that messages have the user's own names. Spark lists them in lower case. The pipelines of the replay write them in upper case.",
  rewrite(runs) {
    let used = false;
    for (const run of runs) {
      run.made = run.made.map((made) => {
        const { options, ...others } = made.args;
        if (options === undefined) return made;
        const names = Object.entries(options as Args).map(
          ([name, value]) => [name.toUpperCase(), value] as const,
        );
        used ||= names.length > 0;
        return { ...made, args: { ...others, options: Object.fromEntries(names) } };
      });
    }
    return used;
  },
};

const pushdownConf: Rewrite = {
  id: "no-pushdown-conf",
  reason:
    "Spark has `spark.sql.python.filterPushdown.enabled`, off by default, and refuses readers with `pushFilters` while it is off. Millrace has no such switch (docs/spark-differences.md): filters go to each reader that overrides the method, and all others read everything.",
  rewrite(runs) {
    return changeEach(runs, (run) => {
      if (!(run.ended?.exception ?? "").includes("[DATA_SOURCE_PUSHDOWN_DISABLED]")) return false;
      readAll(run, runs);
      run.driver.push({ call: "reader.partitions", args: { filters_seen: [] } });
      return true;
    });
  },
};

const queries: Rewrite = {
  id: "no-queries",
  reason:
    "A pipeline writes the rows that it reads: there is no `select`, `limit` or count over them (docs/spark-differences.md). Spark's readers are not told of these either (i_batch_read: no column pruning, no limit pushdown); what they give is the same.",
  rewrite(runs) {
    return changeEach(runs, (run) => {
      const { value } = run.ended ?? {};
      const isLess = typeof value === "number" && value < rowsIn(run, runs);
      if (!isRead(run) || pushOf(run) !== undefined || !isLess) return false;
      readAll(run, runs);
      return true;
    });
  },
};

/** Returns true if the filter rejects null. Spark then infers that the column is not null. */
function rejectsNull({ kind, child }: FilterJson): boolean {
  if (kind === "Not") return rejectsNull(child as FilterJson);
  return kind !== "IsNull" && kind !== "IsNotNull" && kind !== "EqualNullSafe";
}

const columnOf = ({ attribute, child }: FilterJson): string =>
  attribute === undefined ? columnOf(child as FilterJson) : JSON.stringify(attribute);

const inferredFilters: Rewrite = {
  id: "no-inferred-filters",
  reason:
    "Spark's optimizer infers `IsNotNull` of a column that another filter compares, and pushes it too. Millrace has no optimizer: it pushes the filters that the pipeline has (docs/spark-differences.md), and a row whose column is null passes none of these.",
  rewrite(runs) {
    const pushes = runs.flatMap((run) => pushOf(run) ?? []);
    return changeEach(pushes, ({ args }) => {
      const filters = args["filters"] as FilterJson[];
      const compared = new Set(filters.filter(rejectsNull).map(columnOf));
      const kept = filters.filter((filter) => filter.kind !== "IsNotNull" || !compared.has(columnOf(filter)));
      (args as { filters: FilterJson[] }).filters = kept;
      return kept.length < filters.length;
    });
  },
};

const pushedAgain: Rewrite = {
  id: "pushed-to-each-reader",
  reason:
    "Processes (docs/spark-differences.md): Spark pickles the reader that was told the filters and sends it to the tasks. Here each task makes a reader of its own (docs/spark-differences.md), which is told them before it reads.",
  rewrite(runs) {
    let used = false;
    for (const run of runs) {
      const push = pushOf(run);
      if (push === undefined) continue;
      for (const { reader } of run.tasks) {
        if (reader.length === 0) continue;
        reader.unshift(push);
        used = true;
      }
    }
    return used;
  },
};

const writerForEachEnd: Rewrite = {
  id: "writer-for-each-end",
  reason:
    "Processes (docs/spark-differences.md): Spark makes the writer of a batch once, pickles it, and sends it to the tasks and to `commit` or `abort`. Here each of these has a writer of its own (docs/spark-differences.md), as Spark's streams have.",
  rewrite(runs) {
    let used = false;
    for (const run of runs) {
      const writer = [...run.made, ...run.driver].find((call) => isCall(call, "writer.__init__"));
      if (writer === undefined) continue;
      run.driver = run.driver.flatMap((call, i, calls) => {
        const isEnd = isCall(call, "writer.commit", "writer.abort");
        if (!isEnd || isCall(calls[i - 1], "writer.__init__")) return [call];
        used = true;
        return [{ ...writer }, call];
      });
    }
    return used;
  },
};

/** Exceptions for recordings of batches, in the order in which they are applied. */
export const BATCH_REWRITES: readonly Rewrite[] = [
  partitionBy,
  optionNames,
  pushdownConf,
  queries,
  inferredFilters,
  pushedAgain,
  writerForEachEnd,
];
