import { type ErrorLocation, MillraceError } from "../../contract/errors.ts";
import type { Awaitable, NamedRow } from "../../contract/stream-reader.ts";
import { type AnyDataWriter, DataWriter } from "../../contract/write/data-writer.ts";
import type { CustomTaskMetric } from "../../contract/write/metrics.ts";
import type { DeltaWriter } from "../../contract/write/row-level.ts";
import type { CountsRows } from "../sessions/engine-write.ts";
import { OPERATION, type OperationLayout, type PartNames } from "./operation-rows.ts";

/** What `OperationWriter` needs. */
export interface OperationWriterParts {
  /** The writer of the table: a `DeltaWriter`, or a `DataWriter` that takes rows. */
  readonly writer: AnyDataWriter<unknown>;
  readonly layout: OperationLayout;
  /** The names under which rows count. */
  readonly counts: readonly string[];
  readonly where: ErrorLocation;
}

type AnyDeltaWriter = DeltaWriter<unknown>;

/**
 * Passes operation rows to the writer of a table, one by one and never by `writeAll`, and counts
 * them.
 */
export class OperationWriter extends DataWriter<NamedRow, unknown> implements CountsRows {
  readonly #writer: AnyDeltaWriter;
  readonly #layout: OperationLayout;
  readonly #where: ErrorLocation;
  readonly #names: readonly string[];
  readonly #counts: number[];

  /** Throws `ROW_LEVEL_INVALID` if the writer takes record batches. */
  constructor({ writer, layout, counts, where }: OperationWriterParts) {
    super();
    if (writer.form === "arrow") throw takesBatches(where);
    // Whether it has the methods of a DeltaWriter is looked up call by call.
    this.#writer = writer as AnyDeltaWriter;
    this.#layout = layout;
    this.#where = where;
    this.#names = counts;
    this.#counts = counts.map(() => 0);
  }

  /** Passes on one operation row. Throws `ROW_LEVEL_INVALID` if the writer lacks its method. */
  override write(record: NamedRow): Awaitable<void> {
    const [operation, counted, count] = this.#layout.control;
    const index = Number(record[counted]);
    if (index >= 0) this.#counts[index] = (this.#counts[index] ?? 0) + Number(record[count]);
    return this.#dispatch(Number(record[operation]), record);
  }

  #dispatch(operation: number, record: NamedRow): Awaitable<void> {
    const { row, id, metadata } = this.#layout;
    const writer = this.#writer;
    const metadataOf = () => (metadata === undefined ? null : partOf(metadata, record));
    switch (operation) {
      case OPERATION.none:
        return undefined;
      case OPERATION.delete:
        return this.#has("delete").delete(metadataOf(), partOf(id ?? [], record));
      case OPERATION.update:
        return this.#has("update").update(metadataOf(), partOf(id ?? [], record), partOf(row, record));
      case OPERATION.insert:
        return this.#has("insert").insert(partOf(row, record));
      case OPERATION.reinsert:
        return this.#has("reinsert").reinsert(metadataOf(), partOf(row, record));
      case OPERATION.writeWithMetadata:
        return writer.writeWithMetadata(partOf(metadata ?? [], record), partOf(row, record));
      case OPERATION.write:
        return writer.write(partOf(row, record));
      default:
        throw new Error(`there is no operation ${operation}`);
    }
  }

  #has(method: "delete" | "update" | "insert" | "reinsert"): AnyDeltaWriter {
    const writer = this.#writer;
    if (typeof writer[method] === "function") return writer;
    throw new MillraceError("ROW_LEVEL_INVALID", `the writer of a delta write has no ${method}()`, {
      where: this.#where,
      hint: "Return an object of a class that extends DeltaWriter from createWriter().",
    });
  }

  counts(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#names.map((name, i) => [name, this.#counts[i] ?? 0]));
  }

  override commit(): Awaitable<unknown> {
    return this.#writer.commit();
  }

  override abort(): Awaitable<void> {
    return this.#writer.abort();
  }

  override close(): Awaitable<void> {
    return this.#writer.close();
  }

  override currentMetricsValues(): readonly CustomTaskMetric[] {
    return this.#writer.currentMetricsValues();
  }
}

function partOf(names: PartNames, record: NamedRow): NamedRow {
  const part: Record<string, unknown> = {};
  for (const [own, flat] of names) part[own] = record[flat];
  return part;
}

function takesBatches(where: ErrorLocation): MillraceError {
  return new MillraceError("ROW_LEVEL_INVALID", "the writer of a row-level operation takes record batches", {
    where,
    hint: "Changes come row by row: return an object of a class that extends DeltaWriter or DataWriter.",
  });
}
