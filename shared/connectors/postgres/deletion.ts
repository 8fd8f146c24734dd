import { Schema } from "apache-arrow";
import type { BatchContext } from "../../contract/context.ts";
import { MillraceError } from "../../contract/errors.ts";
import type { Filter } from "../../contract/filters.ts";
import { filtersOf } from "../../contract/write/convert-filters.ts";
import { predicatesText } from "../../contract/write/predicate-text.ts";
import type { Predicate } from "../../contract/write/predicates.ts";
import type { Server } from "../kit/postgres/connection.ts";
import type { Session } from "../kit/postgres/session.ts";
import { batchesTableOf } from "./batches-table.ts";
import { commitOnce } from "./commit.ts";
import type { ParsedOptions } from "./options.ts";
import { deleteMatching, isTopLevel } from "./replace.ts";
import { readTable, type Table } from "./table.ts";

/** Deletes rows of the table, without reading them. */
export class PostgresDeletion {
  readonly #options: ParsedOptions;
  readonly #server: Server;

  constructor(options: ParsedOptions, server: Server) {
    this.#options = options;
    this.#server = server;
  }

  /** Returns the number of deleted rows. Errors: `WRITE_NOT_SUPPORTED`, `POSTGRES_FAILED`. */
  async deleteWhere(predicates: readonly Predicate[], batch: BatchContext | undefined): Promise<number> {
    const filters = exactFilters(predicates);
    if (filters === undefined) {
      throw new MillraceError(
        "WRITE_NOT_SUPPORTED",
        `table "${this.#options.table}" cannot delete the rows with ${predicatesText(predicates)}`,
        { hint: "No row was deleted. Compare columns with values, and combine that with AND, OR and NOT." },
      );
    }
    return await this.#change(batch, (session, table) =>
      deleteMatching(session, table, new Schema([]), filters, "No row was deleted."),
    );
  }

  /** Deletes all rows. */
  async truncate(batch: BatchContext | undefined): Promise<void> {
    await this.#change(batch, async (session, { sql }) => {
      await session.execute(`emptying ${sql}`, `TRUNCATE ${sql}`);
      return 0;
    });
  }

  /** Runs `body` in the transaction that records the batch. Without a batch nothing is recorded. */
  async #change(
    batch: BatchContext | undefined,
    body: (session: Session, table: Table) => Promise<number>,
  ): Promise<number> {
    const run = async (session: Session) => body(session, await readTable(session, this.#options.table));
    if (batch !== undefined)
      return (await commitOnce(this.#server, batchesTableOf(this.#options), batch, run)) ?? 0;
    return await this.#server.use((session) => session.transaction("READ WRITE", () => run(session)));
  }
}

/** Returns the predicates as filters, or `undefined` if PostgreSQL cannot evaluate them. */
export function exactFilters(predicates: readonly Predicate[]): readonly Filter[] | undefined {
  const filters = filtersOf(predicates);
  return filters?.every(isTopLevel) ? filters : undefined;
}
