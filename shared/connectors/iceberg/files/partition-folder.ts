import type { PartitionType } from "../format/partition-spec.ts";
import { humanText, parseTransform } from "../format/transforms.ts";
import type { PartitionSpec, PartitionTuple } from "../format/types.ts";

/** Characters that Spark, pyiceberg and DuckDB take in a location as they are. */
const SAFE = /^[A-Za-z0-9_.-]{1,100}$/;

/**
 * Returns the folder for the files of a partition, such as `time_day=2026-11-28/region=eu/`. It is
 * only for people, since readers know a file's partition from its manifest. It is empty if there is
 * no partition, or if a name or value has characters that would have to be escaped: some readers
 * fail at `%` in a location.
 */
export function partitionFolder(
  spec: PartitionSpec,
  types: readonly PartitionType[],
  tuple: PartitionTuple,
): string {
  const parts = spec.fields.map(({ name, transform }, i) => ({
    name,
    text: humanText(parseTransform(transform), types[i]?.type ?? "string", tuple[i] ?? null),
  }));
  if (!parts.every(({ name, text }) => SAFE.test(name) && SAFE.test(text))) return "";
  return parts.map(({ name, text }) => `${name}=${text}/`).join("");
}
