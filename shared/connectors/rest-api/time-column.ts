import { DataType, type Schema } from "apache-arrow";
import { MillraceError } from "../../contract/errors.ts";
import { floorMicros, type InstantLike } from "../../contract/time.ts";

/** The column with each row's time. */
export interface TimeColumn {
  /** The column's index in a row. */
  readonly index: number;
  /**
   * Returns the time of a value in microseconds since 1970, or `undefined` if the value is not a
   * time. A value without a time zone is taken as UTC.
   */
  timeOf(value: unknown): bigint | undefined;
}

/** Returns the column of the option `timeRange.column`. Error: `OPTIONS_INVALID`. */
export function timeColumn(schema: Schema, name: string): TimeColumn {
  const index = schema.fields.findIndex((field) => field.name === name);
  const type = schema.fields[index]?.type;
  if (!DataType.isTimestamp(type)) {
    const problem = type === undefined ? "the schema does not have" : "is no timestamp";
    throw new MillraceError("OPTIONS_INVALID", `RestApi: timeRange.column is "${name}", which ${problem}`, {
      hint: "Name the timestamp column of the schema that holds each row's time.",
    });
  }
  const isLocal = !type.timezone;
  return {
    index,
    timeOf(value) {
      try {
        return floorMicros((isLocal && typeof value === "string" ? `${value}Z` : value) as InstantLike);
      } catch {
        return undefined;
      }
    },
  };
}
