import { pipeline } from "millrace";
import { Postgres } from "millrace/connectors/postgres";

/**
 * Copies the table `changes`, in small batches: into `copies`, or, with `COPY_KEY`, the last change
 * of each key into `latest`. The server is that of PGHOST and its like.
 */
const key = process.env["COPY_KEY"];

export default pipeline(key === undefined ? "append" : "upsert")
  .readStream.format(Postgres)
  .options({ table: "changes", cursorColumn: "seq", maxRowsPerBatch: 100, fetchSize: 25, settleSeconds: 30 })
  .writeStream.format(Postgres)
  .options(key === undefined ? { table: "copies" } : { table: "latest", keyColumns: [key] });
