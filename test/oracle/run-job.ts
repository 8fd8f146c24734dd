import { appendFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Home } from "../../local/home.ts";
import { loadPipeline } from "../../local/load-pipeline.ts";
import { run } from "../../local/runner.ts";
import { causeOf, MillraceError } from "../../shared/contract/errors.ts";
import { readJob } from "./job.ts";
import type { Entry } from "./trace.ts";

/**
 * The process of one run: the embedded runner as `millrace run` starts it, with two threads like
 * Spark's `local[2]`.
 */

const job = readJob();
const file = job.batch === undefined ? "numbers.pipeline.ts" : "batch.pipeline.ts";
const entry = fileURLToPath(new URL(file, import.meta.url));
const stopping = new AbortController();
const left: { idle?: number; batch?: number } = { ...job.until };
let exception: { readonly code?: string; readonly text: string } | null = null;
let rows = 0;

try {
  await run({
    pipeline: await loadPipeline(entry),
    entry,
    home: new Home(job.home),
    trigger: job.trigger,
    maxConcurrency: 2,
    maxAttempts: job.maxAttempts,
    signal: stopping.signal,
    onEvent: (event) => {
      const { type } = event;
      if (event.type === "ended") rows = event.rows;
      if (type !== "idle" && type !== "batch") return;
      const count = (left[type] ?? Number.POSITIVE_INFINITY) - 1;
      left[type] = count;
      if (count === 0) stopping.abort();
    },
  });
} catch (error) {
  const cause = MillraceError.is(error) ? causeOf(error) : undefined;
  exception = {
    ...(MillraceError.is(error) ? { code: error.code } : {}),
    text: `${String(error)}\n${cause ?? ""}`,
  };
}
appendFileSync(job.trace, `${JSON.stringify(ended())}\n`);

function ended(): Entry {
  if (job.batch === undefined)
    return {
      call: "== driver: query ended",
      args: { exception: exception?.text ?? null, code: exception?.code ?? null },
    };
  if (exception !== null) return { call: "== driver: exception", args: exception };
  return { call: "== driver: returned", args: { value: job.batch.kind === "read" ? rows : null } };
}
