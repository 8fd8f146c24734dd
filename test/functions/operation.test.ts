import { expect, it } from "vitest";
import { type Invoked, invoke } from "./bundled.ts";

const NEWEST = { incarnation: "life-1", batchId: 6, planId: "plan-6", start: { n: 60 }, end: { n: 70 } };

/** Runs Finalize with an operation, for a pipeline whose ledger is empty. */
function operateOn(newestBatch: string, event: object): Promise<Invoked> {
  return invoke(
    "finalize",
    `class Reader extends millrace.DataSourceStreamReader {
  initialOffset() { return { n: 0 }; } latestOffset() { return { n: 9 }; }
  partitions() { return []; } async *read() {}
}
class Writer extends millrace.DataSourceStreamWriter { write() {} commit() {} abort() {} ${newestBatch} }
class Both extends millrace.DataSource {
  schema() { return "n int"; } streamReader() { return new Reader(); } streamWriter() { return new Writer(); }
}
export default millrace.pipeline("shop").readStream.format(Both).writeStream.format(Both);`,
    event,
    true,
  );
}

it("Finalize answers the preview of an adoption with the newest batch that the sink names", async () => {
  const writer = `newestBatch() { return ${JSON.stringify(NEWEST)}; }`;
  const { answer, logs } = await operateOn(writer, { operation: "adopt" });
  expect(answer, logs).toEqual({
    value: { sinkTells: true, newest: NEWEST, from: null, to: { n: 70 }, nextBatchId: 7, openBatchId: null },
  });
});

it("Finalize fails an adoption with the cause and the way out if the sink cannot name its newest batch", async () => {
  const { answer } = await operateOn("", { operation: "adopt" });
  expect(answer?.name).toBe("Millrace.Final");
  expect(answer?.message).toMatch(/^NOT_SUPPORTED: .*--from-start/s);
});

it("Finalize answers an adoption from the start although the sink cannot name its newest batch", async () => {
  const { answer, logs } = await operateOn("", { operation: "adopt", fromStart: true });
  expect(answer, logs).toEqual({
    value: { sinkTells: false, newest: null, from: null, to: null, nextBatchId: 0, openBatchId: null },
  });
});

it("Finalize fails a skip of a pipeline without an open batch, and writes nothing", async () => {
  const { answer } = await operateOn("", { operation: "skip" });
  expect(answer?.message).toMatch(/^BATCH_NOT_OPEN: pipeline "shop" has no open batch/);
});
