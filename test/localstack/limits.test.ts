import { describe, expect, it } from "vitest";
import { runtime } from "../../local/home.ts";
import type { Work } from "../../shared/aws/state.ts";
import { S3Store } from "../../shared/platform/aws/s3-store.ts";
import { s3 } from "./clients.ts";
import { EXECUTION, LAMBDA, loadHandlers } from "./handlers.ts";

/** Step Functions limits the state of an execution to 256 KiB. */
const STATE_BYTES = 256 * 1024;

describe("large items on AWS", () => {
  it("A batch of 5,000 columns, with partitions of 300 KB and messages of 5 MB, is committed by the handlers", async () => {
    const { handlers, bucket } = await loadHandlers("large.ts");
    const planned = (await handlers.plan(
      { input: { trigger: "once" }, execution: EXECUTION },
      LAMBDA,
    )) as Work;
    expect(planned.todo).toEqual([0, 1]);
    expect(Buffer.byteLength(JSON.stringify(planned))).toBeLessThan(STATE_BYTES);
    const { run, todo } = planned;
    for (const partition of todo) await handlers.write({ run, partition, attemptNumber: 0 }, LAMBDA);
    await handlers.finalize({ ...planned, failed: 0, killed: null }, LAMBDA);

    const store = new S3Store({ client: s3, bucket, prefix: "numbers", runtime });
    const arrived = Buffer.from((await store.get("source/arrived.json")) ?? "").toString();
    const one = { columns: 5000, partition: 300_000, pad: 5_000_000 };
    expect(JSON.parse(arrived)).toEqual([one, one]);
  });
});
