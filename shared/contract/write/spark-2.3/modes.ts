import type { SaveMode as PipelineSaveMode } from "../../batch-writer.ts";

/** The save modes, spelled as in Spark 2.3. (Spark: `org.apache.spark.sql.SaveMode`.) */
export const SaveMode = {
  /** The rows are added. */
  Append: "Append",
  /** The rows replace those that are there. */
  Overwrite: "Overwrite",
  /** The source throws if it has rows already. */
  ErrorIfExists: "ErrorIfExists",
  /** The source returns no writer if it has rows already. */
  Ignore: "Ignore",
} as const;

/** One of the four save modes. */
export type SaveMode = (typeof SaveMode)[keyof typeof SaveMode];

/** The output modes of a stream, spelled as in Spark 2.3. (Spark: `OutputMode`.) */
export const OutputMode = {
  /** Each batch adds its rows. */
  Append: "Append",
  /** The rows of each batch replace those that are there. */
  Complete: "Complete",
} as const;

/** One of the two output modes. */
export type OutputMode = (typeof OutputMode)[keyof typeof OutputMode];

/** The spelling of Spark 2.3 for each mode that does not overwrite. */
const SPELLED: Readonly<Record<Exclude<PipelineSaveMode, "overwrite">, SaveMode>> = {
  append: SaveMode.Append,
  errorifexists: SaveMode.ErrorIfExists,
  ignore: SaveMode.Ignore,
};

/**
 * Returns the mode that a source is told. A batch that was skipped by hand replaces no rows: its
 * builder is not told to truncate, although the mode of its pipeline is `overwrite`.
 */
export function saveModeOf(mode: PipelineSaveMode | undefined, replacesAll: boolean): SaveMode {
  if (replacesAll) return SaveMode.Overwrite;
  return mode === undefined || mode === "overwrite" ? SaveMode.Append : SPELLED[mode];
}
