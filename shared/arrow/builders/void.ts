import { type Data, makeData, Null } from "apache-arrow";
import { type ColumnBuilder, ValueMismatch } from "./builder.ts";

/** Builds a column in which every value is null. */
export class VoidBuilder implements ColumnBuilder {
  readonly bytes = 0;
  length = 0;

  append(value: unknown): void {
    if (value !== null) throw new ValueMismatch("void (null)", value);
    this.length++;
  }

  mend(): void {
    this.skip();
  }

  skip(): void {
    this.length++;
  }

  finish(): Data {
    return makeData({ type: new Null(), length: this.length });
  }
}
