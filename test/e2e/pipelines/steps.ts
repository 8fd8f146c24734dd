import { pipeline } from "millrace";
import { ArrowTable } from "millrace/connectors/arrow-table";
import { Files } from "millrace/connectors/files";

/** Reads the JSON lines below `FILES_PATH`, and makes two rows of every second one. */
export default pipeline("steps")
  .readStream.format(Files)
  .options({
    path: process.env["FILES_PATH"] ?? "",
    format: "jsonl",
    pattern: "*.jsonl",
    settleSeconds: 0,
    maxFilesPerBatch: 6,
    maxFilesPerPartition: 1,
  })
  .schema("id bigint NOT NULL, word string")
  .filter(({ id }) => id % 2n === 0n)
  .flatMap(async function* ({ id, word }) {
    yield { id, copy: 0, word: word?.toUpperCase() ?? null };
    yield { id, copy: 1, word };
  }, "id bigint NOT NULL, copy int NOT NULL, word string")
  .mapBatches((batch) => batch)
  .select("copy", "id")
  .repartition(2, "copy")
  .writeStream.format(ArrowTable);
