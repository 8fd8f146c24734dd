import { type Field, Schema } from "apache-arrow";
import type { NamedRow } from "../../contract/stream-reader.ts";
import { notInMemory } from "./stream.ts";

/** Where a row was written. Its position stays the same when rows before it go. */
export interface RowPlace {
  readonly file: number;
  readonly position: number;
}

/** The rows of a table at one moment, by file. */
export type ScannedFiles = ReadonlyMap<number, readonly NamedRow[]>;

/** What scans of a table have found, so that a commit notices if the rows have changed since. */
export class TableScans {
  readonly #batches: () => readonly (readonly NamedRow[])[];
  readonly #places = new WeakMap<NamedRow, RowPlace>();
  readonly #scans = new Map<string, ScannedFiles>();
  #nextFile = 0;

  constructor(batches: () => readonly (readonly NamedRow[])[]) {
    this.#batches = batches;
  }

  /** Notes the rows of a task as one file. */
  addFile(rows: readonly NamedRow[]): void {
    if (rows.length === 0) return;
    const file = this.#nextFile++;
    for (const [position, row] of rows.entries()) this.#places.set(row, { file, position });
  }

  /** Notes that a row took the place of another one. */
  replace(old: NamedRow, row: NamedRow): void {
    this.#places.set(row, this.place(old));
  }

  place(row: NamedRow): RowPlace {
    const known = this.#places.get(row);
    if (known === undefined) throw new Error("the row is in no file");
    return known;
  }

  /** Returns the rows that the table has now, by file. */
  now(): ScannedFiles {
    const files = new Map<number, NamedRow[]>();
    const batches = this.#batches();
    // The rows of a batch that came in another way than by tasks are one file.
    for (const rows of batches) this.addFile(rows.filter((row) => !this.#places.has(row)));
    for (const row of batches.flat()) {
      const { file } = this.place(row);
      const rows = files.get(file);
      if (rows === undefined) files.set(file, [row]);
      else rows.push(row);
    }
    return files;
  }

  /** Keeps what a scan has found. */
  keep(id: string, files: ScannedFiles): void {
    this.#scans.set(id, files);
  }

  /** Throws `MEMORY_NOT_HERE`. */
  find(id: string): ScannedFiles {
    const found = this.#scans.get(id);
    if (found !== undefined) return found;
    throw notInMemory("what a command has read of its table");
  }

  forget(id: string): void {
    this.#scans.delete(id);
  }
}

/**
 * Returns the columns that rows of all these schemas have, or `undefined` if there are none. A
 * column may be null if it is missing somewhere.
 */
export function commonSchema(schemas: readonly Schema[]): Schema | undefined {
  const [first] = schemas;
  if (first === undefined) return undefined;
  const fields = new Map<string, Field>();
  for (const field of schemas.flatMap((schema) => schema.fields)) {
    const isEverywhere = schemas.every(({ fields: others }) =>
      others.some(({ name, nullable }) => name === field.name && !nullable),
    );
    if (!fields.has(field.name)) fields.set(field.name, field.clone({ nullable: !isEverywhere }));
  }
  return new Schema([...fields.values()]);
}
