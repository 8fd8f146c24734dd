import { readJob } from "./job.ts";
import { pipelineOf } from "./pipelines.ts";

/** What the threads of a run in a process of its own load. */
export default pipelineOf(readJob());
