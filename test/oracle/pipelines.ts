import type { Filter } from "../../shared/contract/filters.ts";
import { type Pipeline, pipeline } from "../../shared/contract/pipeline.ts";
import { registerDataSource } from "../../shared/contract/registry.ts";
import { B, Nowhere, Range } from "./batch-sources.ts";
import type { BatchStep } from "./batch-step.ts";
import type { Job } from "./job.ts";
import { Src } from "./sources/src.ts";
import { SOURCES } from "./sources.ts";

registerDataSource(B);

/** Returns the pipeline of one run of a scenario. */
export function pipelineOf(job: Job): Pipeline {
  const { batch, trace } = job;
  if (batch === undefined) return stream(job);
  return batch.kind === "read" ? reading(batch, trace) : writing(batch, trace);
}

function stream({ source, trace, ropts, wopts }: Job): Pipeline {
  return pipeline("numbers")
    .readStream.format(SOURCES.get(source) ?? Src)
    .options({ ...ropts, trace })
    .writeStream.format(Src)
    .options({ ...wopts, trace });
}

/**
 * Returns a pipeline that reads the recorded data source and drops its rows. Its filters are plain
 * objects, like filters from another copy of the package.
 */
function reading(batch: BatchStep, trace: string): Pipeline {
  const read = pipeline("numbers").read.format(batch.format).options(optionsOf(batch, trace));
  const known = batch.isUserSchema ? read.schema(batch.columns) : read;
  return known
    .filter(...(batch.filters as unknown as Filter[]))
    .load()
    .write.format(Nowhere)
    .mode("append");
}

function writing(batch: BatchStep, trace: string): Pipeline {
  const { columns, rows, format, mode } = batch;
  return pipeline("numbers")
    .read.format(Range)
    .options({ columns, rows })
    .write.format(format)
    .options(optionsOf(batch, trace))
    .mode(mode as "append");
}

function optionsOf({ options, columns, parts }: BatchStep, trace: string) {
  return { ...options, trace, columns, parts: JSON.stringify(parts) };
}
