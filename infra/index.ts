export { MicroBatchPipeline } from "./micro-batch-pipeline.ts";
export type { MetricName } from "./monitoring.ts";
export type { AlarmProps, MicroBatchPipelineProps, PipelineSecret, ScheduleLike } from "./props.ts";
