import { pipeline } from "millrace";
import { ArrowTable } from "millrace/connectors/arrow-table";
import { Files } from "millrace/connectors/files";

/** Reads the JSON lines below `FILES_PATH`, with three files per batch and one per partition. */
export default pipeline("files")
  .readStream.format(Files)
  .options({
    path: process.env["FILES_PATH"] ?? "",
    format: "jsonl",
    pattern: "**/*.jsonl{,.gz}",
    settleSeconds: 0,
    maxFilesPerBatch: 3,
    maxFilesPerPartition: 1,
  })
  .schema("id bigint NOT NULL, word string")
  .writeStream.format(ArrowTable);
