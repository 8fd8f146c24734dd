import type { DataType } from "apache-arrow";
import { ValueMismatch } from "./builder.ts";
import { Int64Column } from "./fixed-width.ts";
import { temporalText } from "./temporal.ts";

const NAME = "interval day to second";
const DURATION =
  /^([+-]?)P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:[.,](\d+))?S)?)?$/i;
/** Microseconds of a week, a day, an hour, a minute and a second. */
const UNITS = [604_800_000_000n, 86_400_000_000n, 3_600_000_000n, 60_000_000n, 1_000_000n] as const;

/**
 * Builds a column of durations from `"P1DT2H3M4.567890S"`, a `Temporal.Duration`, or microseconds
 * as a bigint. Years and months are an error, because their length varies.
 */
export class IntervalBuilder extends Int64Column {
  constructor(type: DataType, nullable: boolean, capacity: number) {
    super(type, nullable, capacity, BigInt64Array);
  }

  append(value: unknown): void {
    const index = this.length;
    if (index === this.values.length) this.grow();
    if (value === null) this.validity.setNull(index);
    else this.values[index] = toMicros(value);
    this.length = index + 1;
  }
}

function toMicros(value: unknown): bigint {
  const micros = typeof value === "bigint" ? value : parseDuration(value);
  if (BigInt.asIntN(64, micros) !== micros)
    throw new ValueMismatch(`${NAME} (64 bits of microseconds)`, value, "a duration outside it");
  return micros;
}

function parseDuration(value: unknown): bigint {
  const text = temporalText(value, "Duration");
  const match = text === undefined || text.endsWith("P") ? null : DURATION.exec(text);
  if (match === null) throw new ValueMismatch(`${NAME} (such as "P1DT2H3M4.5S")`, value);
  const [, sign, years, months, ...parts] = match;
  if (Number(years ?? 0) !== 0 || Number(months ?? 0) !== 0)
    throw new ValueMismatch(NAME, value, "a duration with years or months");
  const fraction = (parts[5] ?? "").replace(/0+$/, "");
  if (fraction.length > 6)
    throw new ValueMismatch(`${NAME} (microseconds)`, value, "a duration with nanoseconds");
  const micros = UNITS.reduce(
    (sum, unit, i) => sum + BigInt(parts[i] ?? 0) * unit,
    BigInt(fraction.padEnd(6, "0")),
  );
  return sign === "-" ? -micros : micros;
}
