import { ValueMismatch } from "../../../arrow/builders/builder.ts";
import { MillraceError } from "../../../contract/errors.ts";
import { MalformedFileError } from "../../kit/malformed.ts";

const ROLL_BACK =
  "If an earlier snapshot does not have the file, `millrace table rollback` goes back to it; `millrace table files` lists the files of a snapshot.";

/** Returns an error of reading a file with the file's location and the snapshot. */
export function locateError(error: unknown, location: string, snapshotId: bigint): MillraceError {
  const place = `a file of snapshot ${snapshotId}`;
  if (MillraceError.is(error)) {
    if (error.code === "ROW_MISMATCH") return damaged(location, place, error.message, error);
    // The hints of the Parquet reader are for the connector `files`, whose users write the schema.
    const isFeature = error.code === "FILE_FEATURE_NOT_SUPPORTED" || error.code === "TYPE_NOT_SUPPORTED";
    if (!isFeature) return error.with({ where: { path: location } });
    return new MillraceError("TABLE_NOT_READABLE", `${location}, ${place}: ${error.message}`, {
      where: { ...error.where, path: location },
      hint: "Read the table with another engine, such as DuckDB or Spark; or have Spark's `rewrite_data_files` write the file again.",
    });
  }
  if (error instanceof MalformedFileError)
    return damaged(location, place, error.message, error.cause, error.hint);
  if (error instanceof ValueMismatch) return damaged(location, place, error.message, undefined);
  return damaged(location, place, "", error);
}

function damaged(location: string, place: string, problem: string, cause: unknown, hint = ROLL_BACK) {
  const why = problem === "" ? "" : `: ${problem}`;
  return new MillraceError("TABLE_FILE_DAMAGED", `${location}, ${place}, cannot be read${why}`, {
    where: { path: location },
    hint,
    ...(cause === undefined ? {} : { cause }),
  });
}
