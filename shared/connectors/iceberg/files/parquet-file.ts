import { Data, RecordBatch, RecordBatchStreamWriter, type Schema, Struct } from "apache-arrow";
import { ColumnEncoder } from "../../../arrow/ipc/column-encoder.ts";
import { MillraceError } from "../../../contract/errors.ts";
import { loadOptional } from "../../../contract/optional-package.ts";
import type { FileIo } from "../file-io.ts";
import { footerStatistics, type RowGroupStatistics } from "./parquet-footer.ts";
import type { Wasm } from "./parquet-settings.ts";
import type * as ParquetWasm from "./parquet-wasm.ts";

type WasmBatch = ParquetWasm.RecordBatch;

/** Loads the Parquet writer. Error: `DEPENDENCY_MISSING`. */
export function loadParquetWriter(): Promise<Wasm> {
  return loadOptional("parquet-wasm", () => import("./parquet-wasm.ts"));
}

/** Place, size and statistics of a stored Parquet file. */
export interface StoredParquet {
  readonly location: string;
  readonly rows: number;
  readonly bytes: number;
  readonly rowGroups: readonly RowGroupStatistics[];
}

/** The end of a stored file that is kept for its footer has at least this size. */
const TAIL_BYTES = 4 * 1024 * 1024;

/**
 * A Parquet file that is encoded and stored while its rows come in. Its bytes go to the store as
 * each row group ends. It must be ended by `close` or `abort`, because the writer is in the memory
 * of WebAssembly, which is not collected.
 *
 * The writer of parquet-wasm treats an error of its input as the end of the rows, and passes over
 * rows that it cannot write. So its input always ends normally, and `close` compares the number of
 * rows in the file with the number of rows that came in.
 */
export class ParquetFile {
  readonly location: string;
  readonly #wasm: Wasm;
  readonly #input = new RequestedBatches();
  readonly #stored: Promise<void>;
  #output: ReadableStreamDefaultReader<Uint8Array> | undefined;
  #failure: unknown;
  #isAborted = false;
  #rows = 0;
  #bytes = 0;
  #tail: Uint8Array[] = [];

  constructor(wasm: Wasm, properties: ParquetWasm.WriterProperties, io: FileIo, location: string) {
    this.#wasm = wasm;
    this.location = location;
    const output = wasm.transformParquetStream(this.#input.stream, properties);
    this.#stored = io.write(location, this.#chunks(output)).catch(async (error: unknown) => {
      this.#failure ??= error;
      await this.#output?.cancel();
    });
  }

  /** Bytes that the store has taken: those of the row groups that have ended. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Writes rows. Resolves when they are encoded. Throws if the file cannot be stored. */
  async write(schema: Schema, batches: readonly RecordBatch[]): Promise<void> {
    const table = this.#decoded(ipcStream(schema, batches));
    const parts = table.recordBatches();
    table.free();
    try {
      for (let part = parts.shift(); part !== undefined; part = parts.shift()) {
        this.#rows += part.numRows;
        await Promise.race([this.#input.give(part), this.#stored]);
        this.#checkStored();
      }
    } finally {
      for (const part of parts) part.free();
    }
  }

  /** Ends the file, and waits until it is stored. Error: `PARQUET_NOT_WRITTEN`. */
  async close(): Promise<StoredParquet> {
    this.#input.end();
    await this.#stored;
    this.#checkStored();
    const rowGroups = this.#rowGroups();
    const rows = rowGroups?.reduce((sum, group) => sum + group.rows, 0);
    if (rowGroups === undefined || rows !== this.#rows) {
      throw this.#notWritten(`was given ${this.#rows} rows, and its file has ${rows ?? "no footer"}`);
    }
    return { location: this.location, rows: this.#rows, bytes: this.#bytes, rowGroups };
  }

  /**
   * Ends the writer without storing the file. Returns true if the location may still hold a file
   * that this writer stored, and false if it certainly does not.
   */
  async abort(): Promise<boolean> {
    this.#isAborted = true;
    this.#input.end();
    await this.#output?.cancel();
    await this.#stored;
    return !(MillraceError.is(this.#failure) && this.#failure.code === "TABLE_FILE_EXISTS");
  }

  #decoded(bytes: Uint8Array): ParquetWasm.Table {
    try {
      return this.#wasm.Table.fromIPCStream(bytes);
    } catch (error) {
      throw this.#notWritten(`refused rows: ${String(error)}`, error);
    }
  }

  #rowGroups(): readonly RowGroupStatistics[] | undefined {
    try {
      return footerStatistics(new Uint8Array(Buffer.concat(this.#tail)));
    } catch (error) {
      throw this.#notWritten(`wrote a damaged footer: ${String(error)}`, error);
    }
  }

  #notWritten(problem: string, cause?: unknown): MillraceError {
    return new MillraceError("PARQUET_NOT_WRITTEN", `${this.location}: the Parquet writer ${problem}`, {
      where: { path: this.location },
      hint: "Nothing was committed. If `millrace run` fails like this again, report it with the schema of the rows.",
      cause,
    });
  }

  async *#chunks(starting: Promise<ReadableStream<Uint8Array>>): AsyncGenerator<Uint8Array> {
    this.#output = (await starting).getReader();
    for (;;) {
      const { done, value } = await this.#output.read();
      // The store keeps no part of a file whose bytes end with an error.
      if (this.#isAborted) throw new AbortedFile();
      if (done) return;
      this.#bytes += value.length;
      this.#keepTail(value);
      yield value;
    }
  }

  #keepTail(chunk: Uint8Array): void {
    this.#tail.push(chunk);
    let after = this.#tail.reduce((sum, { length }) => sum + length, 0);
    while (after - (this.#tail[0]?.length ?? 0) >= TAIL_BYTES) after -= this.#tail.shift()?.length ?? 0;
  }

  #checkStored(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }
}

/** The input of a Parquet writer, which takes a batch only when it has encoded the one before. */
class RequestedBatches {
  readonly stream: ReadableStream<WasmBatch>;
  #controller: ReadableStreamDefaultController<WasmBatch> | undefined;
  #requested = Promise.withResolvers<void>();
  #isEnded = false;

  constructor() {
    const start = (controller: ReadableStreamDefaultController<WasmBatch>) => {
      this.#controller = controller;
    };
    // Without a buffer, `pull` is called only when the writer reads.
    this.stream = new ReadableStream({ start, pull: () => this.#requested.resolve() }, { highWaterMark: 0 });
  }

  /** Hands a batch over. Resolves when the writer asks for the next one. */
  async give(batch: WasmBatch): Promise<void> {
    await this.#requested.promise;
    this.#requested = Promise.withResolvers<void>();
    this.#controller?.enqueue(batch);
    await this.#requested.promise;
  }

  end(): void {
    if (!this.#isEnded) this.#controller?.close();
    this.#isEnded = true;
  }
}

/** Ends the bytes of a file that is not to be stored. */
class AbortedFile extends Error {}

/**
 * Encodes record batches as an Arrow IPC stream, without slices, which apache-arrow writes wrongly.
 */
function ipcStream(schema: Schema, batches: readonly RecordBatch[]): Uint8Array {
  const encoder = new ColumnEncoder();
  const whole = batches.map(({ numRows, data }) => {
    const columns = schema.fields.map(({ type, name }, i) =>
      encoder.encode(type, data.children[i] as Data, name),
    );
    return new RecordBatch(schema, new Data(new Struct(schema.fields), 0, numRows, 0, undefined, columns));
  });
  return RecordBatchStreamWriter.writeAll(whole).toUint8Array(true);
}
