import { DataType, type Schema } from "apache-arrow";
import { MillraceError } from "../../contract/errors.ts";
import { quoted } from "../kit/column-names.ts";
import { type EpochUnit, LIKELIER_UNIT, microsOfEpoch, OUTSIDE_YEARS } from "../kit/epoch.ts";
import { TextMismatch } from "./text-mismatch.ts";

/** The unit of all columns, or that of some by name. */
export type EpochOption = EpochUnit | Readonly<Record<string, EpochUnit>>;

/** Checks that the columns of the option are timestamps of the schema. Error: `OPTIONS_INVALID`. */
export function checkEpoch(option: EpochOption | undefined, { fields }: Schema): void {
  if (option === undefined || typeof option === "string") return;
  const wrong = Object.keys(option).filter(
    (name) => !fields.some((field) => field.name === name && DataType.isTimestamp(field.type)),
  );
  if (wrong.length === 0) return;
  throw new MillraceError(
    "OPTIONS_INVALID",
    `Files: epoch names ${quoted(wrong)}, which is no timestamp of the schema`,
    { hint: "Make the column a timestamp in .schema(…), or remove it from epoch." },
  );
}

/** Returns the unit of a column. */
export function epochUnit(option: EpochOption | undefined, column: string): EpochUnit | undefined {
  if (option === undefined || typeof option === "string") return option;
  return Object.hasOwn(option, column) ? option[column] : undefined;
}

/**
 * Converts a number of a unit, as text such as `1700000000.123`, to microseconds. Throws
 * `TextMismatch` if the unit is not known, if the time has nanoseconds, or if it is outside the
 * years 0001 to 9999. `value` is for the error.
 */
export function epochOf(text: string, field: string, unit: EpochUnit | undefined, value: unknown): bigint {
  if (unit === undefined) {
    throw new TextMismatch(
      field,
      "timestamp (an ISO string with zone)",
      value,
      "a number without a unit",
      'Set its unit: `epoch: "seconds"`, `epoch: "milliseconds"`, `epoch: "microseconds"` or `epoch: "nanoseconds"`.',
    );
  }
  const time = microsOfEpoch(text.replace(/^\+/, ""), unit);
  if (time === undefined) {
    throw new TextMismatch(
      field,
      `timestamp (${unit} since 1970)`,
      value,
      OUTSIDE_YEARS,
      `The number may count something else: \`epoch: "${LIKELIER_UNIT[unit]}"\`?`,
    );
  }
  if (!time.isFiner) return time.micros;
  throw new TextMismatch(
    field,
    `timestamp (microseconds, from ${unit})`,
    value,
    "a time with nanoseconds",
    `Make "${field}" a bigint in .schema(…), which keeps all digits.`,
  );
}
