export { type CheckSinkOptions, checkSink, type ReadBackContext } from "./check-sink.ts";
export { type CheckSourceOptions, checkSource } from "./check-source.ts";
export { CheckError, type CheckReport, type Problem } from "./report.ts";
export {
  type CommittedBatch,
  type PipelineRun,
  type RunPipelineOptions,
  type RunState,
  runPipeline,
} from "./run-pipeline.ts";
export type { SurroundingsOptions } from "./surroundings.ts";
export type { AnyReader, SinkTarget, SourceTarget } from "./target.ts";
