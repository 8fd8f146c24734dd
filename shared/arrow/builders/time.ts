import type { DataType } from "apache-arrow";
import { ValueMismatch } from "./builder.ts";
import { Int64Column } from "./fixed-width.ts";
import { parseTime } from "./iso.ts";
import { temporalText } from "./temporal.ts";

const MICROS_PER_DAY = 86_400_000_000;

/**
 * Builds a column of times of day, stored as nanoseconds since midnight. Accepts
 * `"03:04:05.678901"`, a `Temporal.PlainTime`, or microseconds as a bigint. Spark's `time` has
 * microsecond precision, but its Arrow type counts nanoseconds.
 */
export class TimeBuilder extends Int64Column {
  constructor(type: DataType, nullable: boolean, capacity: number) {
    super(type, nullable, capacity, BigInt64Array);
  }

  append(value: unknown): void {
    const index = this.length;
    if (index === this.values.length) this.grow();
    if (value === null) this.validity.setNull(index);
    else this.storeNumber(index, toMicros(value) * 1000);
    this.length = index + 1;
  }
}

function toMicros(value: unknown): number {
  if (typeof value === "bigint") {
    if (value >= 0n && value < MICROS_PER_DAY) return Number(value);
    throw new ValueMismatch("time (microseconds of one day)", value, "a bigint outside it");
  }
  const text = temporalText(value, "PlainTime");
  const micros = text === undefined ? undefined : parseTime(text, "time", value);
  if (micros === undefined) throw new ValueMismatch('time (such as "03:04:05.678901")', value);
  return micros;
}
