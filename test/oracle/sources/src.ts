import type { Schema } from "apache-arrow";
import type { DataSourceRuntime } from "../../../shared/contract/context.ts";
import { DataSource } from "../../../shared/contract/data-source.ts";
import type { DataSourceStreamReader } from "../../../shared/contract/stream-reader.ts";
import type { StreamWriter } from "../../../shared/contract/stream-writer.ts";
import { ddlOf, log, type Options } from "./log.ts";
import { StreamReader } from "./stream-reader.ts";
import { streamWriter } from "./stream-writer.ts";

/** The source and the sink of all scenarios. */
export class Src extends DataSource<Options> {
  constructor(options: Options, runtime: DataSourceRuntime) {
    super(options, runtime);
    const shown = Object.entries(options).filter(([name]) => name !== "trace" && name !== "fault");
    log(options, "DataSource.__init__", { cls: this.constructor.name, options: Object.fromEntries(shown) });
  }

  override schema(): string {
    log(this.options, "DataSource.schema", {});
    return "id bigint, part int";
  }

  override streamReader(schema: Schema): DataSourceStreamReader<object, unknown> {
    log(this.options, "DataSource.streamReader", { schema: ddlOf(schema) });
    return new StreamReader(this.options);
  }

  override streamWriter(schema: Schema, overwrite: boolean): StreamWriter<unknown> {
    return streamWriter(this.options, schema, overwrite);
  }
}
