import type { Schema } from "apache-arrow";
import { DataSource } from "../../data-source.ts";
import type { SupportsWrite } from "../table.ts";
import { WriterSupportTable } from "./adapter.ts";
import type { StreamWriteSupport, WriterSupport } from "./writer.ts";

/**
 * Base class of a data source in the form of Spark 2.3. Implement `WriterSupport` to be written by
 * batch pipelines, and `StreamWriteSupport` to be written by streams. (Spark 2.3: `DataSourceV2`.)
 */
export abstract class DataSourceV2<
  Options extends object = Readonly<Record<string, unknown>>,
> extends DataSource<Options> {
  /** Returns a table whose writes are made by `createWriter` and `createStreamWriter`. */
  override table(_schema: Schema): SupportsWrite {
    const support = this as Partial<WriterSupport<Options> & StreamWriteSupport<Options>>;
    return new WriterSupportTable(this.constructor.name, this.options, support);
  }
}
