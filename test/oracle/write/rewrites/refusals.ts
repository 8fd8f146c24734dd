import type { JsonValue } from "../../../../shared/contract/json.ts";
import type { Call } from "../../trace.ts";
import type { BatchWriteOp } from "../op.ts";
import { isAlways } from "../predicates.ts";
import { RecSettings } from "../rec-settings.ts";
import { TableState } from "../tables.ts";
import type { WriteRewrite } from "./rewrite.ts";
import { changeEach, writeRuns } from "./sections.ts";

/** Rewrites of what one side refuses, and of catalogs. */

export const noCatalog: WriteRewrite = {
  id: "no-catalog",
  reason:
    "docs/spark-differences.md, Tables: there are no catalogs. A pipeline names its table by class and options, so nothing is looked up.",
  rewrite(steps) {
    const runs = steps.filter((step) => step.kind === "run");
    return changeEach(runs, (run) => {
      const kept = run.driver.filter(({ call }) => !call.startsWith("TableCatalog."));
      const isUsed = kept.length < run.driver.length;
      run.driver = kept;
      return isUsed;
    });
  },
};

export const updateMode: WriteRewrite = {
  id: "no-update-mode",
  reason:
    "docs/spark-differences.md, Tables: a stream has no output mode `update`, which Spark has for its own sinks only. The pipeline is refused where it is defined; Spark refuses it when it has a builder.",
  rewrite(steps) {
    return changeEach(writeRuns(steps), (run) => {
      const isRefused =
        run.op.kind === "stream" && run.op.outputMode === "update" && run.end?.failed === true;
      if (!isRefused || run.driver.length !== 1) return false;
      run.driver = [];
      return true;
    });
  },
};

export const v1Save: WriteRewrite = {
  id: "v-one-by-any-verb",
  reason:
    "docs/spark-differences.md, Tables: a table with V1_BATCH_WRITE is written by every verb. In Spark `df.write.save()` without a catalog needs BATCH_WRITE, because it takes such a table for a source of the first API.",
  rewrite(steps) {
    return changeEach(writeRuns(steps), (run) => {
      if (run.op.kind !== "batchWrite" || run.end?.failed !== true || run.driver.length > 0) return false;
      const { op } = run;
      const isKnown = op.mode === "append" || (op.mode === "overwrite" && isAlways(op.condition));
      const settings = new RecSettings(new TableState(op.table, []), {}, op.options);
      const { capabilities } = settings;
      if (op.catalog !== null || !isKnown || !settings.isV1) return false;
      if (capabilities.has("BATCH_WRITE") || !capabilities.has("V1_BATCH_WRITE")) return false;
      run.driver = v1Calls(op, settings);
      run.end = { failed: false, faults: [], text: "" };
      // Nothing recorded tells what the table holds now.
      const next = steps.findIndex((step, i) => i > steps.indexOf(run) && isOf(step, op.table));
      if (next >= 0) steps.splice(next);
      return true;
    });
  },
};

function isOf(step: object, table: string): boolean {
  const { table: rowsOf, op } = step as { table?: string; op?: { table?: string } };
  return rowsOf === table || op?.table === table;
}

function v1Calls(op: BatchWriteOp, settings: RecSettings): Call[] {
  const { schema, partitions } = op.rows;
  const info = { queryId: "", schema, rowIdSchema: null, metadataSchema: null, options: op.options };
  const calls: [string, Record<string, JsonValue>?][] = [["Table.newWriteBuilder", info]];
  if (op.mode === "overwrite") calls.push(["WriteBuilder.truncate"]);
  calls.push(["WriteBuilder.build"]);
  if (settings.hasMetrics)
    calls.push(["Write.supportedCustomMetrics", { returns: ["rowsSeen", "filesAdded"] }]);
  calls.push(["V1Write.toInsertableRelation"]);
  calls.push([
    "InsertableRelation.insert",
    { schema, rows: partitions.flat() as JsonValue, overwrite: false },
  ]);
  calls.push(["Write.reportDriverMetrics", { returns: settings.hasMetrics ? [{ filesAdded: 7 }] : [] }]);
  return calls.map(([call, args = {}]) => ({ call, args }));
}
