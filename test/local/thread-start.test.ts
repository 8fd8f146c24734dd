import { expect, it } from "vitest";
import { TaskPool } from "../../local/task-pool.ts";
import type { WriteRequest } from "../../shared/engine/write/task-request.ts";

const run = { pipeline: "p", incarnation: "i", epoch: 1, batchId: 0, attempt: 1, partitionsKey: "k" };
const request: WriteRequest = { run, partition: 0, attemptNumber: 0 };
const listener = {
  signal: new AbortController().signal,
  onProgress: () => undefined,
  onStalled: () => undefined,
};

it("A task for which no thread can start fails instead of waiting for ever", async () => {
  // Each thread fails while it starts, as it does if no more files may be open.
  process.execArgv.push("--import=file:///no/such/module.mjs");
  const pool = new TaskPool(1, { entry: "", home: "", pipeline: "p", schema: "", stall: {} } as never);
  try {
    await expect(pool.run(request, listener)).rejects.toMatchObject({
      code: "WORKER_DIED",
      retryable: true,
      message: expect.stringContaining("no thread could start"),
    });
  } finally {
    process.execArgv.pop();
    await pool.destroy();
  }
}, 20_000);
