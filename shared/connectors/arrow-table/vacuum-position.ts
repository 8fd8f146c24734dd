import * as z from "zod";
import { padded } from "../../contract/keys.ts";
import type { ObjectStore } from "../../contract/object-store.ts";
import { STORE_FOLDER } from "../../contract/store-layout.ts";
import type { VacuumContext } from "../../contract/stream-writer.ts";
import type { VacuumPosition } from "../kit/vacuum.ts";

const Position = z.object({
  /** The table that the position belongs to. */
  table: z.string(),
  /** The version from which the names of the log are looked at. */
  version: z.int().nonnegative(),
  files: z.object({ folder: z.string(), after: z.string() }).optional(),
});

/** Where a vacuum of a table goes on. */
export interface TablePosition {
  readonly version: number;
  readonly files?: VacuumPosition | undefined;
}

/** The position at the start of a table. */
export const TABLE_START: TablePosition = { version: 0 };

/**
 * The stored position of a vacuum that ran out of time. It only saves work: any position is safe,
 * and without one a vacuum begins at the start.
 */
export class StoredPosition {
  readonly #store: ObjectStore;
  readonly #table: string;
  #keys: readonly string[] = [];

  constructor(context: VacuumContext, table: ObjectStore) {
    this.#store = context.store.at(STORE_FOLDER.vacuum);
    this.#table = table.location;
  }

  async read(): Promise<TablePosition> {
    this.#keys = (await Array.fromAsync(this.#store.list(""))).map(({ key }) => key);
    const newest = this.#keys.at(-1);
    const bytes = newest === undefined ? undefined : await this.#store.get(newest);
    const position = bytes && parsed(bytes);
    return position?.table === this.#table ? position : TABLE_START;
  }

  /** Stores the position under a new name, and deletes older ones. */
  async write({ version, files }: TablePosition): Promise<void> {
    if (version > 0 || files !== undefined) {
      const number = Number.parseInt(this.#keys.at(-1) ?? "0", 10) + 1;
      const text = JSON.stringify({ table: this.#table, version, files });
      await this.#store.put(`${padded(number || 1, 12)}.json`, Buffer.from(text));
    }
    await this.#store.delete(this.#keys);
  }
}

function parsed(bytes: Uint8Array): z.output<typeof Position> | undefined {
  try {
    return Position.safeParse(JSON.parse(Buffer.from(bytes).toString())).data;
  } catch {
    return undefined;
  }
}
