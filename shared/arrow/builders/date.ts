import type { DataType } from "apache-arrow";
import { ValueMismatch } from "./builder.ts";
import { FixedWidthBuilder } from "./fixed-width.ts";
import { parseDate } from "./iso.ts";
import { temporalText } from "./temporal.ts";

const MILLIS_PER_DAY = 86_400_000;

/**
 * Builds a column of dates, stored as days since 1970-01-01. Accepts `"2026-11-21"`, a Date at
 * midnight UTC, or a `Temporal.PlainDate`.
 */
export class DateBuilder extends FixedWidthBuilder<Int32Array> {
  constructor(type: DataType, nullable: boolean, capacity: number) {
    super(type, nullable, capacity, Int32Array);
  }

  append(value: unknown): void {
    const index = this.length;
    if (index === this.values.length) this.grow();
    if (value === null) this.validity.setNull(index);
    else this.values[index] = toDays(value);
    this.length = index + 1;
  }
}

function toDays(value: unknown): number {
  if (value instanceof Date) {
    const days = value.getTime() / MILLIS_PER_DAY;
    if (Number.isNaN(days)) throw new ValueMismatch("date", value, "an invalid Date");
    if (!Number.isInteger(days)) throw new ValueMismatch("date", value, "a Date that is not midnight UTC");
    return days;
  }
  const text = temporalText(value, "PlainDate");
  const days = text === undefined ? undefined : parseDate(text, "date", value);
  if (days === undefined) throw new ValueMismatch('date (such as "2026-11-21")', value);
  return days;
}
