import { readJob } from "./job.ts";
import { pipelineOf } from "./pipelines.ts";

/** The pipeline file that the worker threads of a job load. */
export default pipelineOf(readJob());
