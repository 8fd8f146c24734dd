import type { DataType } from "apache-arrow";
import { Int64Column } from "./fixed-width.ts";
import { parseLocal, parseZoned, toMicrosLocal, toMicrosUtc } from "./values.ts";

/**
 * Epoch seconds and milliseconds up to these are less than 2^53 microseconds away from 1970: until
 * the year 2255.
 */
const SAFE_SECONDS = 9_007_199_253;
const SAFE_MILLIS = SAFE_SECONDS * 1000;

/** Instants, as microseconds since the epoch; from what `toMicrosUtc` takes. */
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

/** Wall clocks, as microseconds since 1970-01-01T00:00:00; from what `toMicrosLocal` takes. */
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
