import { Memory, MemoryStream, memoryTable } from "../../shared/connectors/memory/index.ts";
import { memoryOperation } from "../../shared/connectors/memory/row-level.ts";
import { openTable, type Replaced, type Table } from "../../shared/connectors/memory/table.ts";
import type { BatchContext, TaskContext } from "../../shared/contract/context.ts";
import { toSchema } from "../../shared/contract/ddl/to-schema.ts";
import { MillraceError } from "../../shared/contract/errors.ts";
import { type Pipeline, pipeline } from "../../shared/contract/pipeline.ts";
import type { NamedRow } from "../../shared/contract/stream-reader.ts";
import { literal, predicate, reference } from "../../shared/contract/write/predicates.ts";
import type { DeltaBatchWrite, DeltaWriter } from "../../shared/contract/write/row-level.ts";
import type { Write } from "../../shared/contract/write/write.ts";
import { type PipelineRun, runPipeline } from "../../shared/testing/run-pipeline.ts";

const SCHEMA = toSchema("id int not null, v int");
const NONE: Replaced = { replaces: "none" };
let names = 0;

function batchOf(batchId: number): BatchContext {
  const identity = { pipeline: "probe", incarnation: "life", batchId, planId: `plan ${batchId}` };
  return { ...identity, continuity: "independent", start: {}, end: {} } as unknown as BatchContext;
}

function insert(table: Table, ...rows: readonly NamedRow[]): void {
  table.insert(rows, `insert ${++names}`, { schema: SCHEMA, replaced: NONE });
}

function matching(column: string, value: number): Replaced {
  return { replaces: "matching", predicates: [predicate("=", reference(column), literal(value))] };
}

/** Commits come again, and rows change between a scan and the commit. */
export async function memoryRows(): Promise<readonly string[]> {
  const broken: string[] = [];
  const table = openTable(`probe ${++names}`);
  const has = (id: number) => table.rows().filter((row) => row["id"] === id).length;
  insert(table, { id: 1, v: 1 });
  for (let time = 0; time < 2; time++) {
    const changes = { schema: SCHEMA, replaced: new Map(), added: [[{ id: 2, v: 9 }]] };
    table.commitRows([table.stage("a", [])], batchOf(0), undefined, () => changes);
  }
  if (has(2) !== 1) broken.push("a command was carried out twice");
  table.delete(matching("v", 9), batchOf(1));
  insert(table, { id: 3, v: 9 });
  table.delete(matching("v", 9), batchOf(1));
  if (has(3) !== 1) broken.push("rows that came after a deletion are gone");
  if (await changesOtherRows(table)) broken.push("a command is carried out although its rows have changed");
  return broken;
}

/** True if an update is carried out although its row is another one than was scanned. */
async function changesOtherRows(table: Table): Promise<boolean> {
  const options = { rowLevel: "delta", rowId: ["id"], columns: SCHEMA } as const;
  const operation = memoryOperation("UPDATE", table, options);
  const scan = await operation.newScanBuilder({}).build();
  await (await scan.toBatch()).planInputPartitions();
  const built = (await operation.newWriteBuilder({} as never).build()) as Write;
  const write = await built.toBatch();
  const factory = await (write as DeltaBatchWrite<unknown>).createBatchWriterFactory({} as never);
  const task = { incarnation: "life", batchId: 2, attempt: 1 } as unknown as TaskContext;
  const writer = (await factory.createWriter(0, 0, task)) as DeltaWriter<unknown>;
  await writer.update(null, { id: 1 }, { id: 1, v: 2 });
  const message = await writer.commit();
  table.delete(matching("id", 1));
  insert(table, { id: 1, v: 100 });
  try {
    await write.commit([message], undefined, batchOf(2));
    return true;
  } catch (error) {
    if (MillraceError.is(error) && error.code === "ROWS_CHANGED") return false;
    throw error;
  }
}

/** Changes of one key that come late, or with the same sequence. */
export async function memoryChanges(): Promise<readonly string[]> {
  const broken: string[] = [];
  const name = `probe ${++names}`;
  const stream = new MemoryStream(name, "k int not null, seq int not null, op string, v string");
  const source = pipeline(`probe-${names}`).readStream.format(Memory).options({ stream: name });
  const merging = source.writeStream
    .format(Memory)
    .options({ table: name })
    .merge({
      keys: ["k"],
      sequenceBy: "seq",
      applyAsDeletes: predicate("=", reference("op"), literal("delete")),
      exceptColumns: ["op"],
    });
  let run: PipelineRun | undefined;
  const expectAfter = async (change: object, v: string | undefined, what: string) => {
    stream.addData([{ k: 1, op: null, v: null, ...change }] as never);
    const after = run === undefined ? {} : { after: run };
    run = await runPipeline(merging as unknown as Pipeline, { now: "2026-01-01T00:00:00Z", ...after });
    if (memoryTable(name).rows()[0]?.["v"] !== v) broken.push(what);
  };
  await expectAfter({ seq: 5, v: "a" }, "a", "a change has no effect");
  await expectAfter({ seq: 5, v: "b" }, "a", "an equal sequence wins");
  await expectAfter({ seq: 3, v: "c" }, "a", "an older change wins");
  await expectAfter({ seq: 9, op: "delete" }, undefined, "a delete has no effect");
  await expectAfter({ seq: 8, v: "d" }, undefined, "a deleted row is back");
  return broken;
}
