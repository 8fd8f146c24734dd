import { MillraceError } from "../../../contract/errors.ts";
import type { FileIo } from "../file-io.ts";
import { fieldById, pathByName } from "../format/schema.ts";
import { decodeValue } from "../format/single-value.ts";
import { parseTransform, resultType } from "../format/transforms.ts";
import type { DataFile, IcebergSchema, PrimitiveType, TableMetadata } from "../format/types.ts";
import { type LiveFile, liveFiles } from "../read/live-files.ts";
import { snapshotToRead } from "../read/read-snapshot.ts";
import { specOf } from "../read/scan.ts";
import { partitionText, valueText } from "./value-text.ts";

/** A file of a snapshot as `millrace table files` shows it. */
export interface FileInfo {
  readonly content: "data" | "position deletes" | "equality deletes";
  readonly path: string;
  readonly format: string;
  readonly specId: number;
  /** Values by the names of the partition fields. */
  readonly partition: Readonly<Record<string, string | null>>;
  readonly rows: number;
  readonly bytes: number;
  readonly sequenceNumber: number | bigint;
  /** Of the chosen columns, by name. */
  readonly bounds: Readonly<Record<string, BoundsInfo>>;
}

/** What the manifest tells of a column of a file. Bounds of texts and bytes may be cut off. */
export interface BoundsInfo {
  readonly lower?: string;
  readonly upper?: string;
  readonly nulls?: number;
}

export interface FilesOptions {
  readonly snapshotId?: bigint;
  /** Names of columns whose bounds are shown, such as `place.x`. */
  readonly columns?: readonly string[];
}

const CONTENTS = ["data", "position deletes", "equality deletes"] as const;

/** Returns the files of a snapshot. Errors: `SNAPSHOT_NOT_FOUND`, `COLUMN_MISSING`. */
export async function filesOfSnapshot(
  io: FileIo,
  metadata: TableMetadata,
  { snapshotId, columns = [] }: FilesOptions,
): Promise<readonly FileInfo[]> {
  const { snapshot, schema } = snapshotToRead(metadata, snapshotId === undefined ? {} : { snapshotId });
  const leaves = columns.map((name) => leafOf(schema, name));
  if (snapshot === undefined) return [];
  const { data, deletes } = await liveFiles(io, snapshot);
  return [...data, ...deletes].map((live) => infoOf(live, metadata, leaves));
}

interface Leaf {
  readonly id: number;
  readonly name: string;
  readonly type: PrimitiveType;
}

function leafOf(schema: IcebergSchema, name: string): Leaf {
  const field = pathByName(schema, name)?.at(-1);
  if (field !== undefined && typeof field.type === "string") return { id: field.id, name, type: field.type };
  throw new MillraceError("COLUMN_MISSING", `the table has no column "${name}" that has bounds`, {
    where: { field: name },
    hint: 'Name a column as the table does, or "place.x" for a field of a struct.',
  });
}

function infoOf(live: LiveFile, metadata: TableMetadata, leaves: readonly Leaf[]): FileInfo {
  const { file, specId, sequenceNumber } = live;
  return {
    content: CONTENTS[file.content] ?? "data",
    path: file.filePath,
    format: file.fileFormat,
    specId,
    partition: partitionOf(file, metadata, specId),
    rows: file.recordCount,
    bytes: file.fileSizeInBytes,
    sequenceNumber,
    bounds: Object.fromEntries(leaves.map((leaf) => [leaf.name, boundsOf(file, leaf)])),
  };
}

function partitionOf(file: DataFile, metadata: TableMetadata, specId: number): FileInfo["partition"] {
  const values = specOf(metadata, specId).fields.map((field, i) => {
    const value = file.partition[i] ?? null;
    const type = partitionType(metadata, field.transform, field["source-id"]);
    const text =
      value === null
        ? null
        : type === undefined
          ? String(value)
          : partitionText(field.transform, type, value);
    return [field.name, text] as const;
  });
  return Object.fromEntries(values);
}

/** The column may have been dropped since, so older schemas are asked, too. */
function partitionType(
  metadata: TableMetadata,
  transform: string,
  sourceId: number,
): PrimitiveType | undefined {
  for (const schema of metadata.schemas.toReversed()) {
    const type = fieldById(schema, sourceId)?.type;
    if (typeof type === "string") return resultType(parseTransform(transform), type);
  }
  return undefined;
}

function boundsOf(file: DataFile, { id, type }: Leaf): BoundsInfo {
  const [lower, upper] = [file.lowerBounds?.get(id), file.upperBounds?.get(id)];
  const nulls = file.nullValueCounts?.get(id);
  return {
    ...(lower === undefined ? {} : { lower: valueText(type, decodeValue(type, lower)) }),
    ...(upper === undefined ? {} : { upper: valueText(type, decodeValue(type, upper)) }),
    ...(nulls === undefined ? {} : { nulls }),
  };
}
