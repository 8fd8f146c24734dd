import { pipeline } from "millrace";
import { ArrowTable } from "millrace/connectors/arrow-table";
import { Files } from "millrace/connectors/files";

/** The JSON lines below `FILES_PATH`, three files a batch, one a partition. */
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
