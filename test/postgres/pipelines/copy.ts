import { type OnBadRow, pipeline } from "millrace";
import { Postgres } from "millrace/connectors/postgres";

/**
 * Copies the table `changes` in small batches into `copies`. If `COPY_KEY` is set, it copies the
 * last change of each key into `latest`. `COPY_IDLE_SECONDS` shortens the limits of the sink.
 * `COPY_ON_BAD_ROW` says what happens to rows that the table refuses. PGHOST and the related
 * variables name the server.
 */
const key = process.env["COPY_KEY"];
const idleSeconds = Number(process.env["COPY_IDLE_SECONDS"] ?? 120);

export default pipeline(key === undefined ? "append" : "upsert")
  .readStream.format(Postgres)
  .options({ table: "changes", cursorColumn: "seq", maxRowsPerBatch: 100, fetchSize: 25, settleSeconds: 30 })
  .writeStream.format(Postgres)
  .options({
    idleSeconds,
    ...(key === undefined ? { table: "copies" } : { table: "latest", keyColumns: [key] }),
  })
  .onBadRow((process.env["COPY_ON_BAD_ROW"] ?? "fail") as OnBadRow);
