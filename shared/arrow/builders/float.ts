import type { DataType } from "apache-arrow";
import { ValueMismatch } from "./builder.ts";
import { FixedWidthBuilder } from "./fixed-width.ts";

/** Builds a column of doubles from numbers, including infinity and NaN. */
export class DoubleBuilder extends FixedWidthBuilder<Float64Array> {
  constructor(type: DataType, nullable: boolean, capacity: number) {
    super(type, nullable, capacity, Float64Array);
  }

  append(value: unknown): void {
    const index = this.length;
    if (index === this.values.length) this.grow();
    if (typeof value === "number") this.values[index] = value;
    else if (value === null) this.validity.setNull(index);
    else throw new ValueMismatch("double", value);
    this.length = index + 1;
  }
}

/**
 * Builds a column of 32-bit floats from numbers, which are rounded to the nearest float. A finite
 * number that would become infinite is an error.
 */
export class FloatBuilder extends FixedWidthBuilder<Float32Array> {
  constructor(type: DataType, nullable: boolean, capacity: number) {
    super(type, nullable, capacity, Float32Array);
  }

  append(value: unknown): void {
    const index = this.length;
    if (index === this.values.length) this.grow();
    if (typeof value === "number") {
      if (Number.isFinite(value) && !Number.isFinite(Math.fround(value)))
        throw new ValueMismatch("float", value, "a number outside it");
      this.values[index] = value;
    } else if (value === null) {
      this.validity.setNull(index);
    } else {
      throw new ValueMismatch("float", value);
    }
    this.length = index + 1;
  }
}
