import type { RecordBatch, Schema } from "apache-arrow";
import { rowsOf } from "../../../shared/arrow/rows.ts";
import { DataSourceReader } from "../../../shared/contract/batch-reader.ts";
import {
  DataSourceArrowWriter,
  DataSourceWriter,
  type SaveMode,
  type SupportsExists,
  type Writer,
} from "../../../shared/contract/batch-writer.ts";
import type { BatchContext, TaskContext } from "../../../shared/contract/context.ts";
import { DataSource, type DataSourceClass } from "../../../shared/contract/data-source.ts";
import type { Filter } from "../../../shared/contract/filters.ts";
import { type Pipeline, pipeline } from "../../../shared/contract/pipeline.ts";
import type { NamedRow, Row } from "../../../shared/contract/stream-reader.ts";
import {
  DataSourceStreamArrowWriter,
  DataSourceStreamWriter,
} from "../../../shared/contract/stream-writer.ts";
import { type Call, EngineWorld, type Run } from "../../support/engine.ts";

type Slice = { from: number; to: number };
type Message = { partition: number; rows: NamedRow[] };

/** Settings of the source and the sink that a test may change while they run. */
interface Script {
  readonly calls: Call[];
  slices: readonly Slice[];
  /** Called at each call. If this function throws, the call fails with the same error. */
  fault: (call: string, args: unknown) => void;
  /** Returns true for a filter that the source takes over. The source may ignore such a filter. */
  keeps: (filter: Filter) => boolean;
  heeds: boolean;
  row: (id: number) => Row;
  form: "arrow" | "rows" | "stream arrow" | "stream rows";
  isThere: boolean | undefined;
  mode: SaveMode;
  schema: string;
  givenSchema: string | undefined;
  filters: readonly Filter[];
}

/**
 * Runs a pipeline from a source of whole numbers in two partitions to a table in memory. A second
 * commit of a batch changes nothing.
 */
export class Desk {
  readonly world: EngineWorld = new EngineWorld();
  readonly script: Script;
  readonly table: { incarnation: string; batchId: number; rows: NamedRow[] }[] = [];

  constructor(overrides: Partial<Script> = {}) {
    this.script = {
      calls: [],
      slices: [
        { from: 0, to: 2 },
        { from: 2, to: 4 },
      ],
      fault: () => undefined,
      keeps: () => false,
      heeds: true,
      row: (id) => ({ id }),
      form: "arrow",
      isThere: false,
      mode: "append",
      schema: "id bigint",
      givenSchema: undefined,
      filters: [],
      ...overrides,
    };
  }

  get ids(): unknown[] {
    return this.table.flatMap(({ rows }) => rows.map((row) => row["id"]));
  }

  get names(): string[] {
    return this.script.calls.map(({ call }) => call);
  }

  args(name: string): unknown[] {
    return this.script.calls.filter(({ call }) => call === name).map(({ args }) => args);
  }

  called(call: string, args: unknown = null): void {
    this.script.calls.push({ call, args });
    this.script.fault(call, args);
  }

  get pipeline(): Pipeline {
    const { filters, givenSchema, mode } = this.script;
    const reading = pipeline("numbers").read.format(sourceOf(this));
    const known = givenSchema === undefined ? reading : reading.schema(givenSchema);
    return plain(
      known
        .filter(...filters)
        .write.format(sinkOf(this))
        .mode(mode),
    );
  }

  async run(owner: string, overrides: Parameters<EngineWorld["run"]>[2] = {}): Promise<Run> {
    return await this.world.run(this.pipeline, owner, overrides);
  }
}

export const plain = (definition: unknown): Pipeline => definition as Pipeline;

export function sourceOf(desk: Desk): DataSourceClass<Record<string, unknown>> {
  const { script } = desk;
  class Reader extends DataSourceReader<Slice> {
    #kept: readonly Filter[] = [];

    override pushFilters(filters: readonly Filter[]) {
      desk.called("pushFilters", filters);
      this.#kept = filters.filter(script.keeps);
      return filters.filter((filter) => !this.#kept.includes(filter));
    }
    override partitions() {
      desk.called("partitions", this.#kept);
      return script.slices;
    }
    override *read(slice: Slice): Generator<Row> {
      desk.called("read", slice);
      const heeded = script.heeds ? this.#kept : [];
      const least = heeded.map((filter) => (filter.kind === "GreaterThan" ? Number(filter.value) : -1));
      for (let id = slice.from; id < slice.to; id++)
        if (least.every((bound) => id > bound)) yield script.row(id);
    }
  }
  class Numbers extends DataSource {
    override schema() {
      desk.called("schema");
      return script.schema;
    }
    override reader() {
      return new Reader();
    }
  }
  return Numbers;
}

export function sinkOf(desk: Desk): DataSourceClass<Record<string, unknown>> {
  class Table extends DataSource {
    override writer(_: Schema, overwrite: boolean) {
      return writerOf(desk, overwrite);
    }
  }
  return Table;
}

function writerOf(desk: Desk, overwrite: boolean): Writer<Message> {
  const { script, table } = desk;
  desk.called("writer", { overwrite });
  const written = (rows: NamedRow[], { partitionId }: TaskContext): Message => {
    desk.called("write", { partition: partitionId, ids: idsOf(rows) });
    return { partition: partitionId, rows };
  };
  const writeBatches = async (source: AsyncIterable<RecordBatch>, task: TaskContext) =>
    written(
      (await Array.fromAsync(source)).flatMap((batch) => [...rowsOf(batch)]),
      task,
    );
  const writeRows = async (source: AsyncIterable<NamedRow>, task: TaskContext) =>
    written(await Array.fromAsync(source), task);
  type End = (messages: readonly (Message | null)[], batch: BatchContext) => void;
  const commit: End = (messages, { incarnation, batchId, attempt }) => {
    desk.called("commit", { messages: messages.map(brief), batchId, attempt });
    if (table.some((known) => known.incarnation === incarnation && known.batchId === batchId)) return;
    if (overwrite) table.length = 0;
    table.push({ incarnation, batchId, rows: messages.flatMap((message) => message?.rows ?? []) });
    desk.called("commit: return");
  };
  const abort: End = (messages, { batchId, attempt }) => {
    desk.called("abort", { messages: messages.map(brief), batchId, attempt });
  };
  const ofStream =
    (end: End) => (messages: readonly (Message | null)[], batchId: number, batch: BatchContext) =>
      end(messages, { ...batch, batchId });
  const forms = {
    arrow: class extends DataSourceArrowWriter<Message> {
      override write = writeBatches;
      override commit = commit;
      override abort = abort;
    },
    rows: class extends DataSourceWriter<Message> {
      override write = writeRows;
      override commit = commit;
      override abort = abort;
    },
    "stream arrow": class extends DataSourceStreamArrowWriter<Message> {
      override write = writeBatches;
      override commit = ofStream(commit);
      override abort = ofStream(abort);
    },
    "stream rows": class extends DataSourceStreamWriter<Message> {
      override write = writeRows;
      override commit = ofStream(commit);
      override abort = ofStream(abort);
    },
  };
  const writer: Writer<Message> & Partial<SupportsExists> = new forms[script.form]();
  if (script.isThere === undefined) return writer;
  writer.exists = ({ pipeline: name }) => {
    desk.called("exists", name);
    return script.isThere === true || table.length > 0;
  };
  return writer;
}

const idsOf = (rows: readonly NamedRow[]) => rows.map((row) => row["id"]);
const brief = (message: Message | null) => (message === null ? null : idsOf(message.rows));

export class Bare extends DataSource {
  override schema() {
    return "id bigint";
  }
}
