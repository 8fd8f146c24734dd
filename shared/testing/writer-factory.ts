import type { Schema } from "apache-arrow";
import type { Writer } from "../contract/batch-writer.ts";
import type { TableAccess } from "./table-factory.ts";

/** Creates a new writer for each call. */
export interface WriterFactory {
  readonly kind: "stream" | "batch";
  /** Present if the sink is a table, which the writers drive as the engine does. */
  readonly access?: TableAccess;
  make(schema: Schema, overwrite: boolean): Promise<Writer<unknown>>;
}
