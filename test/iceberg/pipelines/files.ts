import { pipeline } from "millrace";
import { Files } from "millrace/connectors/files";
import { Iceberg } from "millrace/connectors/iceberg";

/** Copies files of JSON lines below FILES_PATH into a table of the home's catalog. */
export default pipeline("lines")
  .readStream.format(Files)
  .options({
    path: process.env["FILES_PATH"] ?? "",
    format: "jsonl",
    settleSeconds: 0,
    maxFilesPerBatch: 3,
    maxFilesPerPartition: 1,
  })
  .schema("id bigint, word string")
  .writeStream.format(Iceberg)
  .options({ table: "demo.lines", partitionBy: ["bucket(2, id)"] });
