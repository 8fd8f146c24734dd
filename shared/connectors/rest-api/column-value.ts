import { DataType, type Field } from "apache-arrow";
import { MillraceError, show } from "../../contract/errors.ts";
import { kindOf } from "../../contract/json.ts";
import { type EpochUnit, LIKELIER_UNIT, microsOfEpoch, OUTSIDE_YEARS } from "../kit/epoch.ts";
import { jsonValue } from "../kit/json.ts";
import { type ExactNumber, isExactNumber } from "../kit/json-number.ts";
import type { ColumnPath } from "./options.ts";

type Convert = (value: unknown, row: number) => unknown;

const NUMERIC = /^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
/** A time with digits below the microsecond that are not zeros. */
const FINER = /\.\d{6}\d*[1-9]/;

/**
 * Returns a function that converts a value of the API to one that the column takes. `row` is the
 * number of the row, for errors. Errors: `OPTIONS_INVALID`; `ROW_MISMATCH` if an option of
 * `columns` can say what the value means.
 */
export function columnValue(field: Field, column: ColumnPath): Convert {
  checkOptions(field, column);
  const convert = jsonValue(field.type);
  if (DataType.isUtf8(field.type)) return textValue(field, column);
  if (DataType.isTimestamp(field.type)) return timeValue(field, column);
  return convert;
}

function checkOptions({ name, type }: Field, { epoch, as, subMicroseconds }: ColumnPath): void {
  const isTime = DataType.isTimestamp(type);
  const wrong =
    epoch !== undefined && !isTime
      ? ["epoch", "a timestamp"]
      : subMicroseconds !== undefined && !isTime
        ? ["subMicroseconds", "a timestamp"]
        : as !== undefined && !DataType.isUtf8(type)
          ? ["as", "a string"]
          : undefined;
  if (wrong === undefined) return;
  throw new MillraceError(
    "OPTIONS_INVALID",
    `RestApi: the column "${name}" has the option ${wrong[0]}, but is not ${wrong[1]} in the schema`,
    { hint: `Remove ${wrong[0]}, or change the column's type in the schema.` },
  );
}

function textValue(field: Field, { path, as }: ColumnPath): Convert {
  return (value, row) => {
    if (value === undefined || value === null) return null;
    if (!isExactNumber(value)) return value;
    // `String` writes -0 as "0".
    if (as === "text") return Object.is(value, -0) ? "-0" : String(value);
    throw mismatch(field, row, "string", value, {
      problem: kindOf(value),
      hint: `To read numbers as text, digit for digit, set columns: { ${JSON.stringify(field.name)}: { path: ${JSON.stringify(path)}, \`as: "text"\` } }; or change its type in the schema.`,
    });
  };
}

function timeValue(field: Field, { epoch, subMicroseconds }: ColumnPath): Convert {
  return (value, row) => {
    if (value === undefined || value === null) return null;
    const number = numberIn(value);
    if (number === undefined) return typeof value === "string" ? isoTime(value, row) : value;
    if (epoch === undefined) {
      throw mismatch(field, row, "timestamp", value, {
        problem: `${kindOf(value)} without a unit`,
        hint: `Say what the number counts since 1970: \`epoch: "seconds"\`, or "milliseconds", "microseconds" or "nanoseconds", in columns: { ${JSON.stringify(field.name)}: { path: …, epoch: … } }.`,
      });
    }
    return epochTime(number, epoch, value, row);
  };

  function isoTime(text: string, row: number): string {
    if (!FINER.test(text)) return text;
    if (subMicroseconds === "drop") return text.replace(/(\.\d{6})\d+/, "$1");
    throw tooFine(text, row);
  }

  function epochTime(number: ExactNumber | string, unit: EpochUnit, value: unknown, row: number): bigint {
    const time = microsOfEpoch(number, unit);
    if (time === undefined) {
      throw mismatch(field, row, `${unit} since 1970`, value, {
        problem: OUTSIDE_YEARS,
        hint: `The number may count something else: \`epoch: "${LIKELIER_UNIT[unit]}"\`?`,
      });
    }
    if (subMicroseconds === "drop" || !time.isFiner) return time.micros;
    throw tooFine(value, row);
  }

  function tooFine(value: unknown, row: number): MillraceError {
    return mismatch(field, row, "timestamp (microseconds)", value, {
      problem: "a time with digits below the microsecond",
      hint: `To drop these digits set \`subMicroseconds: "drop"\` for "${field.name}" in columns; to keep them read the column as a string (with \`as: "text"\` if it is a number).`,
    });
  }
}

/** Returns a number, also one that is written as text, or `undefined` for any other value. */
function numberIn(value: unknown): ExactNumber | string | undefined {
  if (isExactNumber(value)) return value;
  return typeof value === "string" && NUMERIC.test(value) ? value : undefined;
}

function mismatch(
  { name }: Field,
  row: number,
  expected: string,
  value: unknown,
  { problem, hint }: { readonly problem: string; readonly hint: string },
): MillraceError {
  const message = `row ${row}, field "${name}": expected ${expected}, found ${problem}`;
  return new MillraceError("ROW_MISMATCH", message, {
    where: { row, field: name },
    hint,
    found: show(value),
  });
}
