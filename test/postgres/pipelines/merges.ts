// biome-ignore-all lint/suspicious/noThenProperty: clauses have this word of SQL
import { pipeline } from "millrace";
import { Postgres } from "millrace/connectors/postgres";
import { literal, predicate, reference, scalar, source } from "millrace/write";

/**
 * If `MERGES` is `command`, merges the table `payments` into `accounts` in several tasks: each run
 * adds each payment once more. Otherwise it merges the changes of `feed` into `newest` by key.
 * PGHOST and the related variables name the server.
 */
const command = pipeline("pay");
const payments = command.read.format(Postgres).options({
  table: "payments",
  cursorColumn: "id",
  maxPartitions: 3,
  fetchSize: 100,
});

const paid = command.table(Postgres, { table: "accounts" }).merge(payments as never, {
  on: "id",
  whenMatched: [{ then: "update", set: { v: scalar("+", reference("v"), source("d")) } }],
  whenNotMatched: [{ then: "insert", set: { id: source("id"), v: source("d") } }],
});

const newest = pipeline("newest")
  .readStream.format(Postgres)
  .options({ table: "feed", cursorColumn: "pos", maxRowsPerBatch: 200, maxPartitions: 3, fetchSize: 50 })
  .writeStream.format(Postgres)
  .options({ table: "newest" })
  .merge({
    keys: ["id"],
    sequenceBy: "seq",
    applyAsDeletes: predicate("=", reference("op"), literal("delete")),
    exceptColumns: ["pos", "op"],
  });

export default process.env["MERGES"] === "command" ? paid : newest;
