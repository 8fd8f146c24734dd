/**
 * The write interfaces of Spark 2.3.0, from which `millrace/write` grew. Guide: docs/from-spark.md.
 */
export { DataSourceV2 } from "./data-source-v2.ts";
export { OutputMode, SaveMode } from "./modes.ts";
export type {
  DataSourceWriter,
  DataWriter,
  DataWriterFactory,
  StreamWriter,
  StreamWriteSupport,
  WriterSupport,
  WriteSupport,
} from "./writer.ts";
