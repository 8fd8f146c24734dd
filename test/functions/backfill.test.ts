import { expect, it } from "vitest";
import { invoke } from "./bundled.ts";

const PIPELINE = `class Reader extends millrace.DataSourceStreamReader {
  initialOffset() { return { n: 0 }; } latestOffset() { return { n: 9 }; }
  partitions() { return []; } async *read() {}
  offsetAt(bound) { return { n: Number(bound) }; } completeUpTo() { return "100"; }
}
class Writer extends millrace.DataSourceStreamWriter { write() {} commit() {} abort() {} }
class Both extends millrace.DataSource {
  schema() { return "n int"; } streamReader() { return new Reader(); } streamWriter() { return new Writer(); }
}
export default millrace.pipeline("shop").readStream.format(Both).writeStream.format(Both);`;

const EXECUTION = { id: "x", startedAt: "2026-01-01T00:00:00Z" };

it("Plan runs no backfill that the ledger does not know, whatever range its input has", async () => {
  const input = { backfill: "shop@0_9", from: "0", to: "9", chunk: "1" };
  const { answer } = await invoke("plan", PIPELINE, { input, execution: EXECUTION }, true);
  expect(answer?.message).toMatch(/^PIPELINE_NOT_FOUND: the ledger knows no backfill "shop@0_9"/);
});

it.each(["plan", "vacuum"])("The function %s runs no backfill of another pipeline", async (name) => {
  const input = { backfill: "returns@0_9" };
  const event = name === "plan" ? { input, execution: EXECUTION } : input;
  const { answer } = await invoke(name, PIPELINE, event, true);
  expect(answer?.message).toMatch(/^PIPELINE_MISMATCH: "returns@0_9" is no backfill of "shop"/);
});

it("Finalize answers a refused range with the reason, and not with an error", async () => {
  const action = { by: "ann", at: 5000 };
  const owner = { id: "ann", description: "millrace backfill" };
  const event = { operation: "backfill", from: "9", to: "9", action, owner };
  const { answer, logs } = await invoke("finalize", PIPELINE, event, true);
  expect(answer?.value, logs).toMatchObject({
    refused: { code: "BACKFILL_RANGE_INVALID", where: { pipeline: "shop" } },
  });
});
