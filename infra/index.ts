export type { MetricName } from "../shared/aws/names.ts";
export { MicroBatchPipeline } from "./micro-batch-pipeline.ts";
export type { AlarmProps, MicroBatchPipelineProps, PipelineSecret, ScheduleLike } from "./props.ts";
