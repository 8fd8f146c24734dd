import { DataType, type Schema } from "apache-arrow";
import { MillraceError } from "../../contract/errors.ts";
import { quoted } from "../kit/column-names.ts";
import { TextMismatch } from "./malformed.ts";

/** The unit of a time that is a number since 1970-01-01T00:00:00Z. */
export type EpochUnit = "seconds" | "milliseconds" | "microseconds" | "nanoseconds";

/** The unit of all columns, or that of some by name. */
export type EpochOption = EpochUnit | Readonly<Record<string, EpochUnit>>;

/** The power of ten of the microseconds in a unit. */
const DIGITS: Readonly<Record<EpochUnit, number>> = {
  seconds: 6,
  milliseconds: 3,
  microseconds: 0,
  nanoseconds: -3,
};

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
 * `TextMismatch` if the unit is not known, or if the time has nanoseconds. `value` is for the
 * error.
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
  const [, sign = "", whole = "", fraction = ""] = /^([+-]?)(\d+)(?:\.(\d+))?$/.exec(text) ?? [];
  const point = whole.length + DIGITS[unit];
  const digits = (whole + fraction).padEnd(point, "0");
  const micros = digits.slice(0, Math.max(0, point));
  if (whole !== "" && !/[1-9]/.test(digits.slice(Math.max(0, point)))) {
    return BigInt(micros === "" ? 0 : micros) * (sign === "-" ? -1n : 1n);
  }
  throw new TextMismatch(
    field,
    `timestamp (microseconds, from ${unit})`,
    value,
    whole === "" ? "a number of another form" : "a time with nanoseconds",
    `Make "${field}" a bigint in .schema(…), which keeps all digits.`,
  );
}
