// biome-ignore-all lint/suspicious/noThenProperty: clauses have this word of SQL
import { describe, expect, it } from "vitest";
import { Memory, MemoryStream } from "../../../shared/connectors/memory/index.ts";
import { EqualTo } from "../../../shared/contract/filters.ts";
import { pipeline } from "../../../shared/contract/pipeline.ts";
import type { NamedRow } from "../../../shared/contract/stream-reader.ts";
import type { AutoCdcInfo } from "../../../shared/contract/write/auto-cdc.ts";
import { DataWriter } from "../../../shared/contract/write/data-writer.ts";
import {
  asc,
  type Distribution,
  Distributions,
  desc,
  type RequiresDistributionAndOrdering,
  type SortOrder,
  sortOrder,
} from "../../../shared/contract/write/distribution.ts";
import { literal, predicate, reference, scalar, source } from "../../../shared/contract/write/predicates.ts";
import { DeltaWrite, DeltaWriter } from "../../../shared/contract/write/row-level.ts";
import type { SupportsWrite } from "../../../shared/contract/write/table.ts";
import { runPipeline } from "../../../shared/testing/run-pipeline.ts";
import { type ChangesSettings, recordingChanges } from "../../support/recording-changes.ts";
import { recordingTable } from "../../support/recording-table.ts";

let names = 0;

/** Makes a stream in memory, and returns its name and the options that read it. */
function streamOf(ddl: string, rows: readonly NamedRow[], numPartitions = 2) {
  const stream = `changes-order-${names++}`;
  new MemoryStream(stream, ddl).addData(rows as never);
  return { name: stream, options: { stream, numPartitions } };
}

const fieldsOf = (schema: { readonly fields: readonly { readonly name: string }[] } | undefined) =>
  schema?.fields.map(({ name }) => name);

describe("a write with a required distribution and ordering", () => {
  interface Required {
    readonly distribution: Distribution;
    readonly ordering: readonly SortOrder[];
    readonly number?: number;
    readonly size?: number;
  }

  /** A table whose write has these requirements, and logs the questions among its calls. */
  function requiringTable({ distribution, ordering, number = 0, size = 0 }: Required) {
    const { recording, dataSource } = recordingTable();
    const answer = <T>(call: string, value: T): T => {
      recording.calls.push(call);
      return value;
    };
    const requirement: Partial<RequiresDistributionAndOrdering> = {
      requiredDistribution: () => answer("requiredDistribution", distribution),
      distributionStrictlyRequired: () => answer("distributionStrictlyRequired", true),
      requiredNumPartitions: () => answer("requiredNumPartitions", number),
      advisoryPartitionSizeInBytes: () => answer("advisoryPartitionSizeInBytes", size),
      requiredOrdering: () => answer("requiredOrdering", ordering),
    };
    class Requiring extends dataSource {
      override async table(schema: never): Promise<SupportsWrite> {
        const table = (await super.table?.(schema)) as SupportsWrite;
        const build: SupportsWrite["newWriteBuilder"] = (info) => {
          const builder = table.newWriteBuilder(info);
          return { build: async () => Object.assign((await builder.build()) as never, requirement) };
        };
        return { ...table, newWriteBuilder: build };
      }
    }
    return { calls: recording.calls, dataSource: Requiring };
  }

  const QUESTIONS = [
    "requiredNumPartitions",
    "advisoryPartitionSizeInBytes",
    "requiredDistribution",
    "distributionStrictlyRequired",
    "requiredOrdering",
  ];
  const three = () =>
    streamOf(
      "id int, p int",
      [1, 2, 3].map((id) => ({ id, p: 1 })),
    );

  it("A batch asks for the requirements once, in Plan, and makes the factory after the exchange", async () => {
    const distribution = Distributions.clustered("p");
    const { calls, dataSource } = requiringTable({ distribution, ordering: [desc("id")], number: 2 });
    const { name, options } = three();
    const reading = pipeline(name).read.format(Memory).options(options);
    await runPipeline(reading.write.format(dataSource).mode("append"));
    const step = ["newWriteBuilder", "build", "toBatch"];
    const factory = "createBatchWriterFactory 2";
    const task = (partition: number) => [
      ...step,
      factory,
      `createWriter ${partition}`,
      `writer.commit ${partition}`,
      `writer.close ${partition}`,
    ];
    expect(calls.slice(0, -4)).toEqual([
      ...["newWriteBuilder", "build", ...QUESTIONS, "toBatch"],
      // The two tasks of the exchange, then the step that plans the writers.
      ...[...step, ...step],
      ...[...step, factory, "useCommitCoordinator"],
      ...[...task(0), ...task(1)],
      ...[...step, factory],
    ]);
    // Rows with an equal p are in one task.
    const rows = calls
      .filter((call) => call.startsWith("onDataWriterCommit"))
      .map((call) => call.slice(-2, -1));
    expect(rows.toSorted()).toEqual(["0", "3"]);
  });

  it("A stream asks for the requirements of each epoch, after toStreaming", async () => {
    const distribution = Distributions.ordered(asc("id"));
    const { calls, dataSource } = requiringTable({ distribution, ordering: [], size: 1000 });
    const { name, options } = three();
    const stream = pipeline(name).readStream.format(Memory).options(options).writeStream.format(dataSource);
    await runPipeline(stream);
    const step = ["newWriteBuilder", "build", "toStreaming"];
    const factory = "createStreamingWriterFactory 1";
    expect(calls).toEqual([
      ...[...step, ...QUESTIONS],
      ...[...step, ...step],
      ...[...step, factory, "useCommitCoordinator"],
      ...[...step, factory, "createWriter 0", "writer.commit 0", "writer.close 0"],
      ...[...step, factory, 'commit [0,[{"partition":0,"rows":3}]]'],
    ]);
  });

  it("Without a distribution nothing is exchanged, and it is not asked whether one is strict", async () => {
    const { calls, dataSource } = requiringTable({ distribution: Distributions.unspecified(), ordering: [] });
    const { name, options } = three();
    const reading = pipeline(name).read.format(Memory).options(options);
    await runPipeline(reading.write.format(dataSource).mode("append"));
    const asked = QUESTIONS.filter((question) => question !== "distributionStrictlyRequired");
    const planned = ["toBatch", "createBatchWriterFactory 2", "useCommitCoordinator"];
    expect(calls.slice(0, 9)).toEqual(["newWriteBuilder", "build", ...asked, ...planned]);
    expect(calls.filter((call) => call === "createBatchWriterFactory 2")).toHaveLength(4);
  });

  it("Nulls come first if an order ascends and last if it descends, unless it says otherwise", () => {
    const expression = reference("a");
    const ascending = { expression, direction: "ascending", nullOrdering: "nullsFirst" };
    const descending = { expression, direction: "descending", nullOrdering: "nullsLast" };
    expect([sortOrder("a"), asc("a")]).toEqual([ascending, ascending]);
    expect(desc("a")).toEqual(descending);
    expect(sortOrder(expression, "descending", "nullsFirst")).toEqual({
      ...descending,
      nullOrdering: "nullsFirst",
    });
    expect(Distributions.unspecified()).toEqual({ kind: "unspecified" });
    expect(Distributions.clustered("a", expression)).toEqual({
      kind: "clustered",
      clustering: [expression, expression],
    });
    expect(Distributions.ordered("a", desc("a"))).toEqual({
      kind: "ordered",
      ordering: [ascending, descending],
    });
  });
});

/** Runs a merge of three rows: one of them deletes, one updates and one is new. */
async function runMerge(settings: ChangesSettings) {
  const { calls, infos, dataSource } = recordingChanges(settings);
  const rows = [
    { id: 1, v: 1 },
    { id: 2, v: 0 },
    { id: 4, v: 4 },
  ];
  const { name, options } = streamOf("id int, v int", rows, 1);
  const same = predicate("=", reference("id"), source("id"));
  const merge = pipeline(name)
    .table(dataSource, {})
    .merge(pipeline(name).read.format(Memory).options(options), {
      on: predicate("AND", same, predicate(">", reference("v"), literal(0))),
      whenMatched: [
        { when: predicate("=", source("v"), literal(0)), then: "delete" },
        { then: "update", set: { v: source("v") } },
      ],
      whenNotMatched: [{ then: "insert", set: "*" }],
    });
  await runPipeline(merge);
  return { calls, infos };
}

/** Runs an update of the row 3, in the second file. */
async function runUpdate(settings: ChangesSettings) {
  const { calls, infos, dataSource } = recordingChanges(settings);
  const update = pipeline(`changes-order-${names++}`)
    .table(dataSource, {})
    .update({ set: { v: scalar("+", reference("v"), literal(1)) }, where: new EqualTo("id", 3) });
  await runPipeline(update);
  return { calls, infos };
}

const MERGED = {
  kind: "MergeSummary",
  numTargetRowsCopied: 0,
  numTargetRowsDeleted: 1,
  numTargetRowsUpdated: 1,
  numTargetRowsInserted: 1,
  numTargetRowsMatchedUpdated: 1,
  numTargetRowsMatchedDeleted: 1,
  numTargetRowsNotMatchedBySourceUpdated: 0,
  numTargetRowsNotMatchedBySourceDeleted: 0,
};
const PLANNED = ["scan.toBatch", "planInputPartitions [0,1]"];
const WRITE = ["newWriteBuilder", "build", "toBatch"];
const read = (file: number) => ["scan.toBatch", "createReaderFactory", `createReader ${file}`];

describe("a row-level operation", () => {
  it("A merge by row ids makes the operation, the scan and the write in each step, and tells the changes", async () => {
    const { calls, infos } = await runMerge({ form: "delta" });
    const scan = [
      "metadataColumns",
      ...["newRowLevelOperationBuilder MERGE", "operation.build"],
      ...["rowId", "requiredMetadataAttributes", "representUpdateAsDeleteAndInsert"],
      ...["newScanBuilder", "pushPredicates [v IS NOT NULL, v > 0]", "pruneColumns id,v", "scan.build"],
    ];
    const step = [...scan, ...WRITE];
    expect(calls).toEqual([
      ...[...scan, ...PLANNED, ...WRITE],
      // The tasks of the exchange: one reads the source, two the table.
      ...[...step, ...step, ...read(0), ...step, ...read(1)],
      ...[...step, "scanned [0,1]", "createBatchWriterFactory 1"],
      ...[...step, "createBatchWriterFactory 1", "createWriter 0"],
      ...['delete null {"id":2}', 'update null {"id":1} {"id":1,"v":1}', 'insert {"id":4,"v":4}'],
      ...[...step, "scanned [0,1]", "createBatchWriterFactory 1", `commit ${JSON.stringify(MERGED)}`],
    ]);
    expect(infos[0]).toEqual({ command: "MERGE", options: {} });
    const [, info] = infos as readonly AutoCdcInfo[];
    expect([info?.schema, info?.rowIdSchema, info?.metadataSchema].map(fieldsOf)).toEqual([
      ["id", "v"],
      ["id"],
      undefined,
    ]);
  });

  it("A split update arrives as a delete and a reinsert, each with the metadata that it keeps", async () => {
    const { calls, infos } = await runMerge({ form: "delta", splits: true, required: ["_file", "_seq"] });
    const at = calls.indexOf("createWriter 0");
    expect(calls.slice(at + 1, at + 5)).toEqual([
      'delete {"_file":0,"_seq":8} {"id":2}',
      'delete {"_file":0,"_seq":7} {"id":1}',
      'reinsert {"_file":null,"_seq":7} {"id":1,"v":1}',
      'insert {"id":4,"v":4}',
    ]);
    expect(calls).toContain("pruneColumns id,v,_file,_seq");
    expect(fieldsOf((infos[1] as AutoCdcInfo).metadataSchema)).toEqual(["_file", "_seq"]);
  });

  it("An update of groups writes all rows of a file again, with their metadata", async () => {
    const { calls } = await runUpdate({ form: "group", required: ["_file", "_seq"] });
    const scan = [
      ...["metadataColumns", "newRowLevelOperationBuilder UPDATE", "operation.build"],
      ...["requiredMetadataAttributes", "newScanBuilder"],
      ...["pushPredicates [id = 3]", "pruneColumns id,v,_file,_seq", "scan.build"],
    ];
    const step = [...scan, ...WRITE, "createBatchWriterFactory 2"];
    const summary = { kind: "UpdateSummary", numUpdatedRows: 1, numCopiedRows: 2 };
    expect(calls).toEqual([
      ...[...scan, ...PLANNED, ...WRITE, "createBatchWriterFactory 2"],
      ...[...step, "createWriter 0", ...read(0)],
      'writeWithMetadata {"_file":0,"_seq":7} {"id":1,"v":10}',
      'writeWithMetadata {"_file":0,"_seq":8} {"id":2,"v":20}',
      ...[...step, "createWriter 1", ...read(1)],
      'writeWithMetadata {"_file":1,"_seq":null} {"id":3,"v":31}',
      ...[...step, `commit ${JSON.stringify(summary)}`],
    ]);
  });

  it("A delete of groups leaves its rows out, and its commit learns how many", async () => {
    const { calls, dataSource } = recordingChanges({ form: "group" });
    const target = pipeline(`changes-order-${names++}`).table(dataSource, {});
    await runPipeline(target.deleteWhere(new EqualTo("id", 1)));
    const summary = { kind: "DeleteSummary", numDeletedRows: 1, numCopiedRows: 2 };
    expect(calls.filter((call) => /^(?:write|commit)/.test(call))).toEqual([
      ...['write {"id":2,"v":20}', 'write {"id":3,"v":30}', `commit ${JSON.stringify(summary)}`],
    ]);
  });

  it("A scan that can leave out groups is told those with a match, and planned again", async () => {
    const { calls } = await runUpdate({ form: "group", filters: true });
    const at = calls.indexOf("filterAttributes");
    expect(calls.slice(at - 2, at + 18)).toEqual([
      ...PLANNED,
      "filterAttributes",
      // A first query finds the files with a match.
      ...["table.newScanBuilder", "pushPredicates [id = 3]", "pruneColumns id,_file", "scan.build"],
      ...[...PLANNED, ...read(0), ...read(1)],
      "filter [_file IN (1)]",
      ...["scan.toBatch", "planInputPartitions [1]"],
      ...["newWriteBuilder", "build"],
    ]);
    expect(calls.filter((call) => call.startsWith("write"))).toEqual(['write {"id":3,"v":31}']);
  });

  it("A writer without reinsert, write or writeWithMetadata of its own inserts, or writes", async () => {
    const calls: unknown[] = [];
    class Inserts extends DeltaWriter<null> {
      override insert = (row: NamedRow) => void calls.push(["insert", row]);
      override delete = () => undefined;
      override update = () => undefined;
      override commit = () => null;
      override abort = () => undefined;
    }
    class Writes extends DataWriter<NamedRow, null> {
      override write = (row: NamedRow) => void calls.push(["write", row]);
      override commit = () => null;
      override abort = () => undefined;
    }
    await new Inserts().reinsert({ _file: 1 }, { id: 1 });
    await new Inserts().write({ id: 2 });
    await new Writes().writeWithMetadata({ _file: 1 }, { id: 3 });
    expect(calls).toEqual([
      ["insert", { id: 1 }],
      ["insert", { id: 2 }],
      ["write", { id: 3 }],
    ]);
    class Nothing extends DeltaWrite {}
    for (const method of ["toBatch", "toStreaming"] as const)
      expect(() => new Nothing()[method]()).toThrow(expect.objectContaining({ code: "NOT_SUPPORTED" }));
  });
});

describe("a stream of changes", () => {
  it("A merge of a stream exchanges the changes by key, and tells the last one of each key", async () => {
    const { calls, infos, dataSource } = recordingChanges({ form: "delta" });
    const { name, options } = streamOf("id int, v int, op string, t int", [
      { id: 1, v: 1, op: "u", t: 1 },
      { id: 1, v: 2, op: "u", t: 2 },
      { id: 2, v: 2, op: "d", t: 1 },
    ]);
    const stream = pipeline(name).readStream.format(Memory).options(options).writeStream.format(dataSource);
    const deletes = new EqualTo("op", "d");
    const settings = { keys: ["id"], sequenceBy: "t", applyAsDeletes: deletes, exceptColumns: ["op"] };
    await runPipeline(stream.merge(settings));
    const step = ["newAutoCdcWriteBuilder 1", "build", "toStreaming"];
    const factory = "createStreamingWriterFactory 1";
    const sequence = (n: number) =>
      expect.stringMatching(`"__sequence":"[A-Za-z0-9+/=]+","t":${n}`) as string;
    const told = calls.filter((call) => /^(?:update|delete) /.test(call));
    expect(told).toEqual([sequence(2), sequence(1)]);
    expect(told[0]).toMatch(/^update .* \{"id":1\} \{"id":1,"v":2,"t":2\}$/);
    expect(told[1]).toMatch(/^delete .* \{"id":2\}$/);
    expect(calls.filter((call) => !told.includes(call))).toEqual([
      // Plan, and the two tasks of the exchange.
      ...[...step, ...step, ...step],
      ...[...step, factory],
      ...[...step, factory, "createWriter 0"],
      ...[...step, factory, "commit 0"],
    ]);
    const [info] = infos as readonly AutoCdcInfo[];
    expect(info).toMatchObject({ storedAsScdType: 1, tombstonesKeptMilliseconds: 7 * 24 * 3_600_000 });
    expect([info?.schema, info?.rowIdSchema, info?.metadataSchema].map(fieldsOf)).toEqual([
      ["id", "v", "t"],
      ["id"],
      ["__sequence", "t"],
    ]);
  });
});
