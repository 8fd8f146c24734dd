import type { RecordBatch, Schema } from "apache-arrow";
import { MillraceError } from "../../../contract/errors.ts";
import { quoted } from "../../kit/column-names.ts";
import type { FileIo } from "../file-io.ts";
import { arrowSchemaOf } from "../format/arrow-schema.ts";
import type { IcebergSchema, Snapshot, TableMetadata } from "../format/types.ts";
import { snapshotOf } from "./live-files.ts";
import { planFiles } from "./plan-files.ts";
import { scan } from "./scan.ts";

export interface ReadSnapshotOptions {
  /** Default: the newest snapshot of the branch `main`. */
  readonly snapshotId?: bigint;
  /** Names of columns. Default: all. */
  readonly columns?: readonly string[];
}

/** What `readSnapshot` reads. */
export interface SnapshotToRead {
  /** `undefined` if the table has no snapshot yet. */
  readonly snapshot: Snapshot | undefined;
  readonly schema: IcebergSchema;
  readonly arrowSchema: Schema;
}

/**
 * Returns the snapshot and the columns that these options name. The current snapshot is read in the
 * table's current schema, one that is named by its id in the schema that it was written with, as
 * Spark does. Errors: `SNAPSHOT_NOT_FOUND`, `COLUMN_MISSING`.
 */
export function snapshotToRead(
  metadata: TableMetadata,
  { snapshotId, columns }: ReadSnapshotOptions = {},
): SnapshotToRead {
  const id = snapshotId ?? metadata["current-snapshot-id"];
  const snapshot = id === undefined ? undefined : snapshotOf(metadata, id);
  const own = snapshotId === undefined ? undefined : snapshot?.["schema-id"];
  const schema = withColumns(schemaOf(metadata, own ?? metadata["current-schema-id"]), columns);
  return { snapshot, schema, arrowSchema: arrowSchemaOf(schema) };
}

/**
 * Reads the rows of a snapshot, in the order of their commits. Errors: those of `snapshotToRead`,
 * `planFiles` and `scan`.
 */
export async function* readSnapshot(
  io: FileIo,
  metadata: TableMetadata,
  options: ReadSnapshotOptions = {},
): AsyncGenerator<RecordBatch> {
  const { snapshot, schema } = snapshotToRead(metadata, options);
  if (snapshot === undefined) return;
  const files = await planFiles(io, snapshot);
  yield* scan({ io, metadata, schema, snapshotId: snapshot["snapshot-id"] }, files);
}

/** Returns a schema of the table. Error: `TABLE_NOT_READABLE`. */
export function schemaOf(metadata: TableMetadata, schemaId: number): IcebergSchema {
  const found = metadata.schemas.find((schema) => schema["schema-id"] === schemaId);
  if (found !== undefined) return found;
  throw new MillraceError("TABLE_NOT_READABLE", `the table's metadata lacks its schema ${schemaId}`, {
    where: { path: metadata.location },
    hint: "The metadata file is damaged. `millrace table rollback` goes back to a snapshot of another schema.",
  });
}

function withColumns(schema: IcebergSchema, columns: readonly string[] | undefined): IcebergSchema {
  if (columns === undefined) return schema;
  const fields = columns.map((name) => {
    const field = schema.fields.find((one) => one.name === name);
    if (field !== undefined) return field;
    const names = quoted(schema.fields.map((one) => one.name));
    throw new MillraceError("COLUMN_MISSING", `the table has no column "${name}": it has ${names}`, {
      where: { field: name },
      hint: "Name a column as the table does.",
    });
  });
  return { ...schema, fields };
}
