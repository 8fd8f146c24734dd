import type { FileIo } from "../file-io.ts";
import type { NestedField } from "../format/types.ts";
import { locateError } from "./located-error.ts";
import type { MappedField } from "./name-mapping.ts";
import { DELETE_PATH_ID, DELETE_POSITION_ID, type FileToRead, type PlannedFile } from "./plan-files.ts";
import { readFile } from "./read-file.ts";
import { TableFile } from "./table-file.ts";

const FIELDS: readonly NestedField[] = [
  { id: DELETE_PATH_ID, name: "file_path", required: true, type: "string" },
  { id: DELETE_POSITION_ID, name: "pos", required: true, type: "long" },
];

/** The specification fixes the names, so that a file without ids can be read, too. */
const MAPPING: readonly MappedField[] = FIELDS.map(({ id, name }) => ({ "field-id": id, names: [name] }));

/** Positions of deleted rows, by the location of their data file. */
type Positions = ReadonlyMap<string, readonly number[]>;

/** The deleted rows of some data files. Each delete file is read once, when it is first needed. */
export class PositionDeletes {
  readonly #io: FileIo;
  readonly #snapshotId: bigint;
  readonly #wanted: ReadonlySet<string>;
  readonly #read = new Map<string, Promise<Positions>>();

  constructor(io: FileIo, snapshotId: bigint, files: readonly PlannedFile[]) {
    this.#io = io;
    this.#snapshotId = snapshotId;
    this.#wanted = new Set(files.filter(({ deletes }) => deletes.length > 0).map(({ location }) => location));
  }

  /** Returns the positions of the deleted rows of a data file, in ascending order. */
  async of({ location, deletes }: PlannedFile): Promise<readonly number[]> {
    const found = await Promise.all(deletes.map((file) => this.#positions(file)));
    const positions = found.flatMap((one) => one.get(location) ?? []);
    return positions.sort((a, b) => a - b);
  }

  #positions(file: FileToRead): Promise<Positions> {
    const known = this.#read.get(file.location);
    if (known !== undefined) return known;
    const read = this.#load(file).catch((error: unknown) => {
      throw locateError(error, file.location, this.#snapshotId);
    });
    this.#read.set(file.location, read);
    return read;
  }

  async #load(file: FileToRead): Promise<Positions> {
    const positions = new Map<string, number[]>();
    const options = { fields: FIELDS, nameMapping: MAPPING, rows: file.rows };
    for await (const { rows } of readFile(new TableFile(this.#io, file), options)) {
      for (const row of rows as Iterable<readonly [string, bigint]>) {
        const [path, position] = row;
        if (!this.#wanted.has(path)) continue;
        const list = positions.get(path);
        if (list === undefined) positions.set(path, [Number(position)]);
        else list.push(Number(position));
      }
    }
    return positions;
  }
}
