import type { Schema } from "apache-arrow";
import { DataSource, type DataSourceClass } from "../../shared/contract/data-source.ts";
import type { NamedRow } from "../../shared/contract/stream-reader.ts";
import type { AutoCdcInfo, SupportsAutoCdc } from "../../shared/contract/write/auto-cdc.ts";
import { BatchWrite } from "../../shared/contract/write/batch-write.ts";
import { DataWriter } from "../../shared/contract/write/data-writer.ts";
import { predicatesText } from "../../shared/contract/write/predicate-text.ts";
import { type NamedReference, type Predicate, reference } from "../../shared/contract/write/predicates.ts";
import {
  DeltaBatchWrite,
  DeltaStreamingWrite,
  DeltaWrite,
  DeltaWriter,
  type RowLevelOperation,
  type RowLevelOperationInfo,
  type SupportsDelta,
} from "../../shared/contract/write/row-level.ts";
import type { Batch, MetadataColumn, Scan, ScanBuilder } from "../../shared/contract/write/scan.ts";
import type { SupportsWrite } from "../../shared/contract/write/table.ts";
import { Write } from "../../shared/contract/write/write.ts";
import type { LogicalWriteInfo, PhysicalWriteInfo } from "../../shared/contract/write/write-info.ts";

/** The rows of a table of changes, with the metadata columns `_file` and `_seq`, by file. */
const FILES: readonly (readonly NamedRow[])[] = [
  [
    { id: 1, v: 10, _file: 0, _seq: 7 },
    { id: 2, v: 20, _file: 0, _seq: 8 },
  ],
  [{ id: 3, v: 30, _file: 1, _seq: 9 }],
];
const METADATA: readonly MetadataColumn[] = [
  { name: "_file", type: "int not null" },
  { name: "_seq", type: "int", preserveOnUpdate: false, preserveOnReinsert: true },
];

/** What a table of changes does. */
export interface ChangesSettings {
  /** `delta`: its operation has row ids. `group`: whole files are written again. */
  readonly form: "delta" | "group";
  /** The metadata columns that its writers need. */
  readonly required?: readonly string[];
  /** True if an update arrives as a delete and a reinsert. */
  readonly splits?: boolean;
  /** True if its scan can leave out files when it already runs. */
  readonly filters?: boolean;
}

type Note = (call: string, ...args: readonly unknown[]) => void;

/** Returns the calls, and the class of a data source whose table logs them. It changes no row. */
export function recordingChanges(settings: ChangesSettings): {
  readonly calls: string[];
  readonly infos: (LogicalWriteInfo | AutoCdcInfo | RowLevelOperationInfo)[];
  readonly dataSource: DataSourceClass<object>;
} {
  const calls: string[] = [];
  const infos: (LogicalWriteInfo | AutoCdcInfo | RowLevelOperationInfo)[] = [];
  const note: Note = (call, ...args) => {
    calls.push(
      [call, ...args.map((each) => (typeof each === "string" ? each : JSON.stringify(each)))].join(" "),
    );
  };
  class Recorded extends DataSource<object> {
    static override readonly name: string = "recorded-changes";
    override table(): SupportsWrite & SupportsAutoCdc {
      return Object.assign(tableOf(settings, note), {
        newRowLevelOperationBuilder(info: RowLevelOperationInfo) {
          infos.push(info);
          note("newRowLevelOperationBuilder", info.command);
          return {
            build: (): RowLevelOperation => {
              note("operation.build");
              return operationOf(settings, info, note, (given) => infos.push(given));
            },
          };
        },
        newAutoCdcWriteBuilder(info: AutoCdcInfo) {
          infos.push(info);
          note("newAutoCdcWriteBuilder", info.storedAsScdType);
          return { build: () => noted(note, "build", new RecordedDeltaWrite(note)) };
        },
      });
    }
  }
  return { calls, infos, dataSource: Recorded };
}

function noted<T>(note: Note, call: string, value: T): T {
  note(call);
  return value;
}

function tableOf(settings: ChangesSettings, note: Note) {
  return {
    name: "changes",
    schema: "id int not null, v int",
    capabilities: new Set(["BATCH_READ", "BATCH_WRITE", "STREAMING_WRITE"] as const),
    newWriteBuilder(): never {
      throw new Error("this table is never appended to");
    },
    newScanBuilder: () => noted(note, "table.newScanBuilder", scanBuilderOf(settings, note)),
    metadataColumns: () => noted(note, "metadataColumns", METADATA),
  };
}

function operationOf(
  { form, required = [], splits = false, ...settings }: ChangesSettings,
  { command }: RowLevelOperationInfo,
  note: Note,
  onInfo: (info: LogicalWriteInfo) => void,
): RowLevelOperation {
  const operation: RowLevelOperation = {
    command,
    newScanBuilder: () => noted(note, "newScanBuilder", scanBuilderOf({ form, ...settings }, note)),
    newWriteBuilder(info) {
      onInfo(info);
      note("newWriteBuilder");
      const write = form === "delta" ? new RecordedDeltaWrite(note) : new RecordedGroupWrite(note);
      return { build: () => noted(note, "build", write) };
    },
    scanned: (partitions) => note("scanned", partitions),
    requiredMetadataAttributes: () => noted(note, "requiredMetadataAttributes", references(required)),
  };
  const delta: Pick<SupportsDelta, "rowId" | "representUpdateAsDeleteAndInsert"> = {
    rowId: () => noted(note, "rowId", references(["id"])),
    representUpdateAsDeleteAndInsert: () => noted(note, "representUpdateAsDeleteAndInsert", splits),
  };
  return form === "delta" ? { ...operation, ...delta } : operation;
}

function references(names: readonly string[]): readonly NamedReference[] {
  return names.map((name) => reference(name));
}

function scanBuilderOf(settings: ChangesSettings, note: Note): ScanBuilder {
  const builder = {
    pushPredicates(predicates: readonly Predicate[]) {
      note("pushPredicates", predicatesText(predicates));
      return predicates;
    },
    pruneColumns: (required: Schema) => note("pruneColumns", required.fields.map(({ name }) => name).join()),
    build: () => noted(note, "scan.build", scanOf(settings, note)),
  };
  return builder;
}

function scanOf({ filters = false }: ChangesSettings, note: Note): Scan {
  let files = [0, 1];
  const batch: Batch<number> = {
    planInputPartitions() {
      note("planInputPartitions", files);
      return files;
    },
    createReaderFactory: () =>
      noted(note, "createReaderFactory", {
        createReader(file: number) {
          note("createReader", file);
          return FILES[file] ?? [];
        },
      }),
  };
  const scan: Scan = {
    readSchema: () => "id int not null, v int, _file int not null, _seq int",
    toBatch: () => noted(note, "scan.toBatch", batch as Batch),
  };
  const filtering = {
    filterAttributes: () => noted(note, "filterAttributes", references(["_file"])),
    filter(predicates: readonly Predicate[]) {
      note("filter", predicatesText(predicates));
      const [, ...values] = predicates[0]?.children ?? [];
      files = values.map((value) => (value.kind === "literal" ? Number(value.value) : Number.NaN));
    },
  };
  return filters ? { ...scan, ...filtering } : scan;
}

class RecordedGroupWrite extends Write {
  readonly #note: Note;

  constructor(note: Note) {
    super();
    this.#note = note;
  }

  override toBatch(): BatchWrite<unknown> {
    this.#note("toBatch");
    return new RecordedGroupBatchWrite(this.#note);
  }
}

class RecordedGroupBatchWrite extends BatchWrite<unknown> {
  readonly #note: Note;

  constructor(note: Note) {
    super();
    this.#note = note;
  }

  override createBatchWriterFactory({ numPartitions }: PhysicalWriteInfo) {
    this.#note("createBatchWriterFactory", numPartitions);
    const note = this.#note;
    return {
      createWriter: (partition: number) => noted(note, `createWriter ${partition}`, new GroupWriter(note)),
    };
  }

  override commit(_messages: readonly unknown[], summary: unknown): void {
    this.#note("commit", summary);
  }

  override abort(): void {
    this.#note("abort");
  }
}

class GroupWriter extends DataWriter<NamedRow, null> {
  readonly #note: Note;

  constructor(note: Note) {
    super();
    this.#note = note;
  }

  override write(row: NamedRow): void {
    this.#note("write", row);
  }

  override writeWithMetadata(metadata: NamedRow, row: NamedRow): void {
    this.#note("writeWithMetadata", metadata, row);
  }

  override commit(): null {
    return null;
  }

  override abort(): void {
    this.#note("writer.abort");
  }
}

class RecordedDeltaWrite extends DeltaWrite {
  readonly #note: Note;

  constructor(note: Note) {
    super();
    this.#note = note;
  }

  override toBatch(): DeltaBatchWrite<unknown> {
    this.#note("toBatch");
    return new RecordedDeltaBatchWrite(this.#note) as DeltaBatchWrite<unknown>;
  }

  override toStreaming(): DeltaStreamingWrite<unknown> {
    this.#note("toStreaming");
    return new RecordedDeltaStreamingWrite(this.#note) as DeltaStreamingWrite<unknown>;
  }
}

class RecordedDeltaBatchWrite extends DeltaBatchWrite<null> {
  readonly #note: Note;

  constructor(note: Note) {
    super();
    this.#note = note;
  }

  override createBatchWriterFactory({ numPartitions }: PhysicalWriteInfo) {
    this.#note("createBatchWriterFactory", numPartitions);
    return factoryOf(this.#note);
  }

  override commit(_messages: readonly unknown[], summary: unknown): void {
    this.#note("commit", summary);
  }

  override abort(): void {
    this.#note("abort");
  }
}

class RecordedDeltaStreamingWrite extends DeltaStreamingWrite<null> {
  readonly #note: Note;

  constructor(note: Note) {
    super();
    this.#note = note;
  }

  override createStreamingWriterFactory({ numPartitions }: PhysicalWriteInfo) {
    this.#note("createStreamingWriterFactory", numPartitions);
    return factoryOf(this.#note);
  }

  override commit(epochId: number): void {
    this.#note("commit", epochId);
  }

  override abort(epochId: number): void {
    this.#note("abort", epochId);
  }
}

function factoryOf(note: Note) {
  return {
    createWriter: (partition: number) => noted(note, `createWriter ${partition}`, new ChangeWriter(note)),
  };
}

/** Logs the changes that it gets. */
class ChangeWriter extends DeltaWriter<null> {
  readonly #note: Note;

  constructor(note: Note) {
    super();
    this.#note = note;
  }

  override delete(metadata: NamedRow | null, id: NamedRow): void {
    this.#note("delete", metadata, id);
  }

  override update(metadata: NamedRow | null, id: NamedRow, row: NamedRow): void {
    this.#note("update", metadata, id, row);
  }

  override reinsert(metadata: NamedRow | null, row: NamedRow): void {
    this.#note("reinsert", metadata, row);
  }

  override insert(row: NamedRow): void {
    this.#note("insert", row);
  }

  override commit(): null {
    return null;
  }

  override abort(): void {
    this.#note("writer.abort");
  }
}
