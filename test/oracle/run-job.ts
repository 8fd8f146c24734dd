import { readJob } from "./job.ts";
import { runJob } from "./run.ts";

/** Runs one job in this process, with worker threads for its tasks, like `millrace run`. */
await runJob(readJob());
