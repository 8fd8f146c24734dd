export type { QuarantinedRow } from "../engine/bad-rows/quarantine.ts";
export { checkSink } from "./check-sink.ts";
export { checkSource } from "./check-source.ts";
export { type CheckStepsOptions, checkSteps } from "./check-steps.ts";
export type { CheckSinkOptions, ReadBackContext } from "./checks/sink/subject.ts";
export type { CheckSourceOptions } from "./checks/source/subject.ts";
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
