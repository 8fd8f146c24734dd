import { z } from "zod";
import { MillraceError } from "../../../contract/errors.ts";
import type { PartitionType } from "../format/partition-spec.ts";
import { decodeValue, encodeValue } from "../format/single-value.ts";
import type { DataFile, IcebergValue, PrimitiveType } from "../format/types.ts";

const COUNT = z.number().int().min(0);
const BYTES = z.base64();

/**
 * The metrics of a column: field id, bytes, values, nulls, NaNs, lower bound and upper bound. A
 * count is `null` if it is not known. A bound is `null` if the column has none.
 */
const COLUMN = z.tuple([
  COUNT,
  COUNT.nullable(),
  COUNT.nullable(),
  COUNT.nullable(),
  COUNT.nullable(),
  BYTES.nullable(),
  BYTES.nullable(),
]);

const FILE = z.strictObject({
  path: z.string().min(1),
  rows: COUNT,
  bytes: COUNT,
  /** Single-value serialization of each partition value. */
  partition: z.array(BYTES.nullable()),
  splits: z.array(COUNT),
  columns: z.array(COLUMN),
});

/** A data file as a commit message has it. */
export type DataFileJson = z.infer<typeof FILE>;

/** Returns a Parquet data file in the form of a commit message. `dataFileOf` reads it. */
export function dataFileJson(file: DataFile, types: readonly Pick<PartitionType, "type">[]): DataFileJson {
  const { columnSizes, valueCounts, nullValueCounts, nanValueCounts, lowerBounds, upperBounds } = file;
  const maps = [columnSizes, valueCounts, nullValueCounts, nanValueCounts, lowerBounds, upperBounds];
  const ids = [...new Set(maps.flatMap((map) => [...(map?.keys() ?? [])]))].sort((a, b) => a - b);
  return {
    path: file.filePath,
    rows: file.recordCount,
    bytes: file.fileSizeInBytes,
    partition: types.map(({ type }, i) => partitionText(type, file.partition[i] ?? null)),
    splits: [...(file.splitOffsets ?? [])],
    columns: ids.map((id) => [
      id,
      columnSizes?.get(id) ?? null,
      valueCounts?.get(id) ?? null,
      nullValueCounts?.get(id) ?? null,
      nanValueCounts?.get(id) ?? null,
      base64(lowerBounds?.get(id)),
      base64(upperBounds?.get(id)),
    ]),
  };
}

function partitionText(type: PrimitiveType, value: IcebergValue | null): string | null {
  return value === null ? null : base64(encodeValue(type, value));
}

function base64(bytes: Uint8Array | undefined): string | null {
  return bytes === undefined ? null : Buffer.from(bytes).toString("base64");
}

/** Reads what `dataFileJson` returned. Throws `DATA_FILE_INVALID`. */
export function dataFileOf(json: unknown, types: readonly Pick<PartitionType, "type">[]): DataFile {
  const parsed = FILE.safeParse(json);
  if (!parsed.success) throw invalid(z.prettifyError(parsed.error).replaceAll("\n", " "));
  const { path, rows, bytes, partition, splits, columns } = parsed.data;
  if (partition.length !== types.length) {
    throw invalid(`${path} has ${partition.length} partition values, and the table ${types.length}`);
  }
  const mapOf = <T>(part: (column: z.infer<typeof COLUMN>) => T | null) =>
    new Map(
      columns.flatMap((column) => {
        const value = part(column);
        return value === null ? [] : [[column[0], value] as const];
      }),
    );
  return {
    content: 0,
    filePath: path,
    fileFormat: "PARQUET",
    partition: partition.map((text, i) => partitionValue(types[i]?.type as PrimitiveType, text)),
    recordCount: rows,
    fileSizeInBytes: bytes,
    columnSizes: mapOf((column) => column[1]),
    valueCounts: mapOf((column) => column[2]),
    nullValueCounts: mapOf((column) => column[3]),
    ...optionalCounts(mapOf((column) => column[4])),
    lowerBounds: mapOf((column) => bytesOf(column[5])),
    upperBounds: mapOf((column) => bytesOf(column[6])),
    splitOffsets: splits,
  };
}

function optionalCounts(counts: ReadonlyMap<number, number>): Pick<DataFile, "nanValueCounts"> {
  return counts.size === 0 ? {} : { nanValueCounts: counts };
}

function bytesOf(text: string | null): Uint8Array | null {
  return text === null ? null : new Uint8Array(Buffer.from(text, "base64"));
}

function partitionValue(type: PrimitiveType, text: string | null): IcebergValue | null {
  const bytes = bytesOf(text);
  if (bytes === null) return null;
  try {
    return decodeValue(type, bytes);
  } catch (error) {
    throw invalid(`a partition value has ${bytes.length} bytes, and the field is ${type}`, error);
  }
}

function invalid(problem: string, cause?: unknown): MillraceError {
  return new MillraceError(
    "DATA_FILE_INVALID",
    `a task's message about its data files is damaged: ${problem}`,
    {
      hint: "Run again with the version of millrace that wrote it, or leave the batch out: `millrace skip`.",
      cause,
    },
  );
}
