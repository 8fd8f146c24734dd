import type { DataType } from "apache-arrow";
import { Int64Column } from "./fixed-width.ts";
import { parseLocal, parseZoned, toMicrosLocal, toMicrosUtc } from "./values.ts";

/**
 * Up to these limits (the year 2255) the microseconds since 1970 are below 2^53, so they can be
 * computed as a number.
 */
const SAFE_SECONDS = 9_007_199_253;
const SAFE_MILLIS = SAFE_SECONDS * 1000;

/**
 * Builds a column of instants, stored as microseconds since the epoch. Accepts the values of
 * `toMicrosUtc`.
 */
export class TimestampBuilder extends Int64Column {
  constructor(type: DataType, nullable: boolean, capacity: number) {
    super(type, nullable, capacity, BigInt64Array);
  }

  append(value: unknown): void {
    const index = this.length;
    if (index === this.values.length) this.grow();
    if (value instanceof Date) {
      const millis = value.getTime();
      if (Math.abs(millis) <= SAFE_MILLIS) this.storeNumber(index, millis * 1000);
      else this.values[index] = toMicrosUtc(value);
    } else if (typeof value === "string") {
      const { seconds, micros } = parseZoned(value);
      if (Math.abs(seconds) <= SAFE_SECONDS) this.storeNumber(index, seconds * 1_000_000 + micros);
      else this.values[index] = toMicrosUtc(value);
    } else if (value === null) {
      this.validity.setNull(index);
    } else {
      this.values[index] = toMicrosUtc(value);
    }
    this.length = index + 1;
  }
}

/**
 * Builds a column of wall-clock times without a zone, stored as microseconds since
 * 1970-01-01T00:00:00. Accepts the values of `toMicrosLocal`.
 */
export class TimestampNtzBuilder extends Int64Column {
  constructor(type: DataType, nullable: boolean, capacity: number) {
    super(type, nullable, capacity, BigInt64Array);
  }

  append(value: unknown): void {
    const index = this.length;
    if (index === this.values.length) this.grow();
    if (typeof value === "string") {
      const { seconds, micros } = parseLocal(value);
      if (Math.abs(seconds) <= SAFE_SECONDS) this.storeNumber(index, seconds * 1_000_000 + micros);
      else this.values[index] = toMicrosLocal(value);
    } else if (value === null) {
      this.validity.setNull(index);
    } else {
      this.values[index] = toMicrosLocal(value);
    }
    this.length = index + 1;
  }
}
