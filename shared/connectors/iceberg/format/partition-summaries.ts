import type { PartitionType } from "./partition-spec.ts";
import { compareValues, encodeValue } from "./single-value.ts";
import type { DataFile, IcebergValue, PartitionFieldSummary } from "./types.ts";

/**
 * Returns the summaries of a manifest's files for the manifest list: one for each field of the
 * partition spec. All files must have that spec.
 */
export function partitionSummaries(
  types: readonly PartitionType[],
  files: readonly Pick<DataFile, "partition">[],
): PartitionFieldSummary[] {
  return types.map(({ type }, i) =>
    summaryOf(
      type,
      files.map(({ partition }) => partition[i] ?? null),
    ),
  );
}

function summaryOf(type: string, values: readonly (IcebergValue | null)[]): PartitionFieldSummary {
  let lower: IcebergValue | undefined;
  let upper: IcebergValue | undefined;
  let containsNan = false;
  for (const value of values) {
    if (value === null) continue;
    if (Number.isNaN(value)) {
      containsNan = true;
      continue;
    }
    if (lower === undefined || compareValues(type, value, lower) < 0) lower = value;
    if (upper === undefined || compareValues(type, value, upper) > 0) upper = value;
  }
  return {
    containsNull: values.includes(null),
    containsNan,
    ...(lower === undefined ? {} : { lowerBound: encodeValue(type, lower) }),
    ...(upper === undefined ? {} : { upperBound: encodeValue(type, upper) }),
  };
}
