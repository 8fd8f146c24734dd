import { describe, expect, it } from "vitest";
import { conformWrite } from "./conform.ts";
import type { BatchWriteOp, OpRow } from "./op.ts";
import { Spark } from "./spark.ts";
import type { Entry, Recording } from "./trace.ts";

const SCHEMA = "id BIGINT NOT NULL,p INT";
const PARTITIONS: OpRow[][] = [[[0, 0]], [[1, 1]], [[2, 2]]];
const rows = { schema: SCHEMA, partitions: PARTITIONS };
const epochs = { schema: SCHEMA, epochs: [PARTITIONS, PARTITIONS] };
const CATALOG = { table: "t", catalog: "cat", schema: "id BIGINT,p INT", partitionedBy: [] };
const faults = (...points: readonly object[]) => ({ fault: JSON.stringify(points) });
const resultOf = async (trace: readonly Entry[]) => await conformWrite({ scenario: "changed", trace });

/** A trace with one entry left out, of those that have this name. */
function without({ trace }: Recording, call: string, which = 0): readonly Entry[] {
  const at = trace.flatMap((entry, i) => (entry.call === call ? [i] : []))[which];
  if (at === undefined) throw new Error(`there is no ${call}`);
  return trace.toSpliced(at, 1);
}

/** A trace in which the entries of this name have other arguments. */
function changed({ trace }: Recording, call: string, args: Entry["args"]): readonly Entry[] {
  return trace.map((entry) => (entry.call === call ? { ...entry, args: { ...entry.args, ...args } } : entry));
}

/** A trace with entries added after the first of this name. */
function withAfter({ trace }: Recording, call: string, ...added: readonly Entry[]): readonly Entry[] {
  return trace.toSpliced(trace.findIndex((entry) => entry.call === call) + 1, 0, ...added);
}

describe("the comparison of writes", () => {
  const plain = new Spark().batch({ rows }).rows().recording;

  it.each([
    "Table.newWriteBuilder",
    "WriteBuilder.build",
    "Write.toBatch",
    "BatchWrite.useCommitCoordinator",
    "BatchWrite.onDataWriterCommit",
    "BatchWrite.commit",
    "Write.reportDriverMetrics",
    "DataWriterFactory.createWriter",
    "DataWriter.writeAll",
    "DataWriter.write",
    "DataWriter.commit",
    "DataWriter.close",
  ])("A recording that lacks a call of %s differs", async (call) => {
    expect(await resultOf(without(plain, call))).toMatchObject({ verdict: "differs" });
  });

  it("A recording with other rows in the table differs, and shows both", async () => {
    const trace = changed(plain, "== driver: rows", { files: { 0: [[7, 7]] } });
    const { verdict, detail } = await resultOf(trace);
    expect(verdict).toBe("differs");
    expect(detail).toMatch(/rows of t\)\n {2}Spark: {4}\{"0":\[\[7,7\]\]\}\n {2}Millrace: \{"0":\[\[0,0\]\]/);
  });

  it("A recording in which the statement failed differs, and so does one that names another fault", async () => {
    const failed = { call: "== driver: error", args: { chain: [{ class: "E", message: "fault in X.y" }] } };
    const trace = plain.trace.map((entry) => (entry.call === "== driver: ok" ? failed : entry));
    expect(await resultOf(trace)).toMatchObject({ verdict: "differs" });
    const thrown = new Spark().batch({ rows, options: faults({ point: "BatchWrite.commit" }) }).recording;
    const other = changed(thrown, "== driver: error", failed.args);
    expect((await resultOf(other)).detail).toContain("the fault in the error");
  });

  it("A recording that shows other metrics differs", async () => {
    const spark = new Spark().batch({ rows, options: { metrics: "true" } }).recording;
    const shown = (text: string): Entry => ({
      call: "== driver: metrics shown",
      args: { "rows seen by the writers": text, "files added": "7" },
    });
    expect(await resultOf([...spark.trace, shown("3")])).toMatchObject({ verdict: "same" });
    expect(await resultOf([...spark.trace, shown("4")])).toMatchObject({ verdict: "differs" });
  });

  it("A task that was stopped may lack its end, but what it did must be the same", async () => {
    const options = faults({ point: "DataWriter.write", partitionId: 0 });
    const spark = new Spark().batch({ rows, options }).rows().recording;
    const same = await resultOf(spark.trace);
    expect(same).toMatchObject({ verdict: "same", exceptions: expect.arrayContaining(["tasks-cut-short"]) });
    const failures = spark.trace.filter(({ call }) => call === "!! raise in DataWriter.write").length;
    expect(failures).toBe(2);
    expect(await resultOf(without(spark, "DataWriter.abort"))).toMatchObject({ verdict: "differs" });
    expect(await resultOf(without(spark, "Write.reportDriverMetrics"))).toMatchObject({ verdict: "differs" });
  });

  it("The abort must have a message of exactly those tasks that finished", async () => {
    const options = faults({ point: "DataWriter.write", partitionId: 2 });
    const spark = new Spark().batch({ rows, options }).rows().recording;
    expect(await resultOf(spark.trace)).toMatchObject({ verdict: "same" });
    const wrong = changed(spark, "BatchWrite.abort", {
      messages: [{ partition: 0, attempt: 0, taskId: 0, rows: 5 }, null, null],
    });
    expect(await resultOf(wrong)).toMatchObject({ verdict: "differs" });
  });
});

describe("the rewrites of writes", () => {
  /** The recording is the same by the rewrite, and is not if it has a difference beside. */
  async function expectUsed(id: string, recording: Recording, beside: readonly Entry[]): Promise<void> {
    const result = await conformWrite(recording);
    expect(result.detail ?? "").toBe("");
    expect(result.exceptions).toContain(id);
    expect(await resultOf(beside)).toMatchObject({ verdict: "differs" });
  }

  it("The steps of a batch repeat the calls with the same arguments", async () => {
    const spark = new Spark().batch({ rows }).recording;
    const beside = changed(spark, "BatchWrite.createBatchWriterFactory", { numPartitions: 4 });
    await expectUsed("chain-repeated", spark, beside);
  });

  it("The write is told of the messages in partition order", async () => {
    const { trace } = new Spark().batch({ rows }).recording;
    const told = trace.filter(({ call }) => call === "BatchWrite.onDataWriterCommit");
    const others = trace.filter((entry) => !told.includes(entry));
    const at = others.findIndex(({ call }) => call === "BatchWrite.commit");
    const late = { scenario: "late", trace: others.toSpliced(at, 0, ...told.toReversed()) };
    await expectUsed("told-in-finalize", late, without(late, "BatchWrite.onDataWriterCommit"));
  });

  it("A table is not looked up in a catalog", async () => {
    const spark = new Spark().given({ ...CATALOG, properties: {} }, {});
    const { trace } = spark.batch({ api: "insertInto", catalog: "cat", rows }).recording;
    const asked = { call: "TableCatalog.loadTable(privileges)", args: { ident: "t", found: true } };
    const recording = {
      scenario: "asked",
      trace: withAfter({ scenario: "", trace }, "== driver: run", asked),
    };
    await expectUsed("no-catalog", recording, without(recording, "WriteBuilder.build"));
  });

  it("Tasks stage the rows of a V1Write, and the commit inserts them", async () => {
    const properties = { v1: "true", capabilities: "V1_BATCH_WRITE" };
    const spark = new Spark().given({ ...CATALOG, properties }, {});
    spark.batch({ api: "insertInto", catalog: "cat", rows });
    const beside = changed(spark.recording, "InsertableRelation.insert", { rows: [[0, 0]] });
    await expectUsed("v-one-staged", spark.recording, beside);
  });

  it("A table of a V1Write needs no catalog", async () => {
    const options = { table: "t", v1: "true", capabilities: "V1_BATCH_WRITE" };
    const op: BatchWriteOp = {
      kind: "batchWrite",
      ...{ api: "save", table: "t", catalog: null, mode: "append", condition: null, dynamic: false },
      ...{ by: "name", rows, options, placement: "input" },
    };
    const [session] = new Spark().recording.trace;
    const refused = { call: "== driver: error", args: { chain: [{ class: "E", message: "no" }] } };
    const trace = [session as Entry, { call: "== driver: run", args: { op: op as never } }, refused];
    const called = trace.toSpliced(2, 0, { call: "Table.newWriteBuilder", args: {} });
    await expectUsed("v-one-by-any-verb", { scenario: "refused", trace }, called);
  });

  it("A stream in the mode update is refused before any call", async () => {
    const [session, run] = new Spark().stream({ outputMode: "update", rows: epochs }).recording.trace;
    const asked = { call: "Table.newWriteBuilder", args: { queryId: "Q0", options: {} } };
    const refused = { call: "== driver: error", args: { chain: [{ class: "E", message: "no update" }] } };
    const trace = [session as Entry, run as Entry, asked, refused];
    const ok = [...trace.slice(0, 3), { call: "== driver: ok", args: {} }];
    await expectUsed("no-update-mode", { scenario: "refused", trace }, ok);
  });

  it("The next run calls the abort that failed, with the same messages", async () => {
    const options = faults({ point: "StreamingWrite.commit" }, { point: "StreamingWrite.abort" });
    const spark = new Spark().stream({ rows: epochs, options }).stream({ rows: epochs, checkpoint: "same" });
    const beside = changed(spark.recording, "StreamingWrite.abort", { messages: [] });
    await expectUsed("table-abort-again", spark.recording, beside);
  });
});

describe("what is left out", () => {
  const unsupported = (ended: Entry): Entry[] => {
    const op = { kind: "unsupported", why: "a table of a catalog is created or replaced" };
    const made = { kind: "batchWrite", table: "t", catalog: "cat", mode: "create" };
    return [{ call: "== driver: run", args: { op: { ...op, op: made } } }, ended];
  };
  const OK: Entry = { call: "== driver: ok", args: {} };
  const FAILED: Entry = { call: "== driver: error", args: { chain: [{ class: "E", message: "there" }] } };
  const [session] = new Spark().recording.trace as [Entry];

  it("A scenario of which nothing can be replayed is out of scope, and says why", async () => {
    const { verdict, detail } = await resultOf([session, ...unsupported(OK)]);
    expect({ verdict, detail }).toEqual({
      verdict: "out of scope",
      detail: "a table of a catalog is created or replaced",
    });
  });

  it("What follows a statement that is left out is replayed if that one failed", async () => {
    const given = new Spark().given({ ...CATALOG, properties: {} }, { 0: [[5, 5]] });
    const { trace } = given.batch({ api: "insertInto", catalog: "cat", rows }).rows().recording;
    const [, first, ...rest] = trace;
    const failed = await resultOf([session, first as Entry, ...unsupported(FAILED), ...rest]);
    expect(failed).toMatchObject({ verdict: "same", detail: expect.stringContaining("left out") });
    expect(failed.calls).toBeGreaterThan(0);
    const ok = await resultOf([session, first as Entry, ...unsupported(OK), ...rest]);
    expect(ok).toMatchObject({ verdict: "out of scope", calls: 0 });
  });

  it("A command whose condition has no form as a predicate is out of scope", async () => {
    const where = ["<", ["rand"], ["lit", 3]];
    const op = { kind: "delete", table: "t", catalog: "cat", where, placement: "files" };
    const { verdict, detail } = await resultOf([session, { call: "== driver: run", args: { op } }, OK]);
    expect({ verdict, detail }).toEqual({
      verdict: "out of scope",
      detail: "a condition with no form as a predicate",
    });
  });

  it("An entry of the driver program that is not known stops the replay", async () => {
    await expect(resultOf([session, { call: "== driver: dances", args: {} }])).rejects.toThrow(
      'the driver\'s "== driver: dances" is not known',
    );
  });
});
