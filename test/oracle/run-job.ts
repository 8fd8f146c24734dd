import { readJob } from "./job.ts";
import { runJob } from "./run.ts";

/** The process of one run, whose tasks are threads, as `millrace run` has them. */
await runJob(readJob());
