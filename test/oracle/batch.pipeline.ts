import type { Filter } from "../../shared/contract/filters.ts";
import { pipeline } from "../../shared/contract/pipeline.ts";
import { registerDataSource } from "../../shared/contract/registry.ts";
import { B, Nowhere, Range } from "./batch-sources.ts";
import { readJob } from "./job.ts";

/**
 * One action of the recorded driver program: it reads the recorded data source and drops the rows,
 * or it writes rows to it. Filters are plain objects, as of another copy of the package.
 */
const { batch, trace } = readJob();
if (batch === undefined) throw new Error("this is no batch");
registerDataSource(B);
const { columns, format } = batch;
const options = { ...batch.options, trace, columns, parts: JSON.stringify(batch.parts) };

function reading() {
  const read = pipeline("numbers").read.format(format).options(options);
  const known = batch?.isUserSchema === true ? read.schema(columns) : read;
  return known
    .filter(...((batch?.filters ?? []) as unknown as Filter[]))
    .load()
    .write.format(Nowhere)
    .mode("append");
}

function writing() {
  const { rows, mode } = batch ?? { rows: [], mode: "" };
  return pipeline("numbers")
    .read.format(Range)
    .options({ columns, rows })
    .write.format(format)
    .options(options)
    .mode(mode as "append");
}

export default batch.kind === "read" ? reading() : writing();
