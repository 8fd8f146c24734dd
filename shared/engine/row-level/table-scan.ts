import type { RecordBatch, Schema } from "apache-arrow";
import { toRecordBatches } from "../../arrow/record-batches.ts";
import type { TaskContext } from "../../contract/context.ts";
import { toSchema } from "../../contract/ddl/to-schema.ts";
import { type ErrorLocation, MillraceError } from "../../contract/errors.ts";
import type { InputPartition } from "../../contract/stream-reader.ts";
import type { Predicate } from "../../contract/write/predicates.ts";
import type {
  Scan,
  ScanBuilder,
  SupportsPushDownRequiredColumns,
  SupportsPushDownV2Filters,
} from "../../contract/write/scan.ts";
import { guard } from "../sessions/guard.ts";

/** What a scan of a table is to return. */
export interface ScanRequest {
  /** The predicates that the scan may use; `undefined` if it is not told any. */
  readonly pushed: readonly Predicate[] | undefined;
  /** The needed columns. */
  readonly columns: Schema;
  readonly where: ErrorLocation;
}

/** Reads rows of a table, in the needed columns. */
export class TableScan {
  readonly scan: Scan;
  readonly #columns: Schema;
  readonly #where: ErrorLocation;

  private constructor(scan: Scan, { columns, where }: ScanRequest) {
    this.scan = scan;
    this.#columns = columns;
    this.#where = where;
  }

  /** Builds the scan by Spark's calls. Errors: `SOURCE_FAILED`. */
  static async build(newScanBuilder: () => ScanBuilder, request: ScanRequest): Promise<TableScan> {
    const { pushed, columns, where } = request;
    const call = <T>(method: string, body: () => T | PromiseLike<T>) =>
      guard("SOURCE_FAILED", `${method}() failed`, where, body);
    const builder = (await call("newScanBuilder", newScanBuilder)) as ScanBuilder &
      Partial<SupportsPushDownV2Filters & SupportsPushDownRequiredColumns>;
    if (pushed !== undefined && builder.pushPredicates !== undefined)
      await call("pushPredicates", () => builder.pushPredicates?.(pushed));
    if (builder.pruneColumns !== undefined) await call("pruneColumns", () => builder.pruneColumns?.(columns));
    return new TableScan(await call("build", () => builder.build()), request);
  }

  async partitions(): Promise<readonly InputPartition[]> {
    return await guard("SOURCE_FAILED", "planInputPartitions() failed", this.#where, async () =>
      (await this.scan.toBatch()).planInputPartitions(),
    );
  }

  /** Yields rows of a partition. Errors: `SOURCE_FAILED`, `ROW_LEVEL_INVALID`, `ROW_MISMATCH`. */
  async *read(partition: InputPartition, task: TaskContext): AsyncGenerator<RecordBatch> {
    const rows = await guard("SOURCE_FAILED", "createReader() failed", this.#where, async () => {
      const factory = await (await this.scan.toBatch()).createReaderFactory();
      return await factory.createReader(partition, task);
    });
    const schema = toSchema(this.scan.readSchema());
    const indexes = this.#columns.fields.map(({ name }) => {
      const index = schema.fields.findIndex((field) => field.name === name);
      if (index >= 0) return index;
      throw lacks(name, this.#where);
    });
    for await (const batch of toRecordBatches(schema, rows, this.#where)) yield batch.selectAt(indexes);
  }
}

function lacks(column: string, where: ErrorLocation): MillraceError {
  return new MillraceError(
    "ROW_LEVEL_INVALID",
    `the scan of the table lacks the column "${column}", which was asked for by pruneColumns()`,
    { where, hint: "Return all needed columns from readSchema(), or have no pruneColumns()." },
  );
}
