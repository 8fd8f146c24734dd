import { ValueMismatch } from "../../arrow/builders/builder.ts";

/** A value of the next row does not fit its column, and an option may say how to read it. */
export class TextMismatch extends ValueMismatch {
  readonly hint: string;

  constructor(field: string, expected: string, value: unknown, problem: string, hint: string) {
    super(expected, value, problem, `.${field}`);
    this.hint = hint;
  }
}
