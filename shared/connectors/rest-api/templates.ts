import { DataType, type Schema } from "apache-arrow";
import { rowType } from "../../arrow/row-type.ts";
import { MillraceError } from "../../contract/errors.ts";
import type { NamedRow } from "../../contract/stream-reader.ts";
import { suggest } from "../../contract/suggest.ts";
import { mapJson } from "./request-body.ts";

const PLACEHOLDER = /\{([^{}]+)\}/g;

/** Checks and fills the placeholders of one kind of change. */
export class Templates {
  readonly #option: string;
  readonly #columns: Schema;

  /** `option` is where they are set. `columns` are those that such a change has. */
  constructor(option: string, columns: Schema) {
    this.#option = option;
    this.#columns = columns;
  }

  /**
   * Returns a function that makes the URL of a change. Values are encoded, and can neither be empty
   * nor lead to another place of the path. Errors: `OPTIONS_INVALID`; of the function
   * `ROW_MISMATCH`.
   */
  url(template: string, base: string): (values: NamedRow) => URL {
    this.#checkText(template, "url");
    const fill = (textOf: (name: string) => string) =>
      new URL(
        template.replace(PLACEHOLDER, (_, name: string) => encodeURIComponent(textOf(name))),
        base,
      );
    const shape = fill(() => "x").pathname.split("/");
    return (values) => {
      const url = fill((name) => this.#textOf(name, values, "url"));
      const steps = url.pathname.split("/");
      const isSameShape =
        steps.length === shape.length && steps.every((step, i) => (step === "") === (shape[i] === ""));
      if (isSameShape) return url;
      throw unfit('a value is empty, or is a step such as "..", which url cannot have', undefined);
    };
  }

  /** Returns a function that makes the text of a header. Errors as those of `url`. */
  text(template: string, part: string): (values: NamedRow) => string {
    this.#checkText(template, part);
    return (values) => {
      const text = template.replace(PLACEHOLDER, (_, name: string) => this.#textOf(name, values, part));
      if (/^[\t\x20-\x7e\x80-\xff]*$/.test(text)) return text;
      throw unfit(`a value has characters that ${part} cannot have`, undefined);
    };
  }

  /** Returns a function that makes a JSON value. Error: `OPTIONS_INVALID`. */
  json(template: unknown): (values: NamedRow) => unknown {
    mapJson(template, (value) => {
      if (typeof value === "string") for (const name of namesIn(value)) this.#check(name, "body");
      return value;
    });
    return (values) =>
      mapJson(template, (value) => {
        if (typeof value !== "string") return value;
        const [whole] = namesIn(value);
        if (value === `{${whole}}`) return new Filled(values[whole ?? ""] ?? null);
        return value.replace(PLACEHOLDER, (_, name: string) => this.#textOf(name, values, "body"));
      });
  }

  #check(name: string, part: string): DataType {
    const { fields } = this.#columns;
    const field = fields.find((each) => each.name === name);
    if (field !== undefined) return rowType(field.type);
    const names = fields.map((each) => each.name);
    throw new MillraceError(
      "OPTIONS_INVALID",
      `RestApi: ${this.#option}.${part} has {${name}}, which such a change lacks${suggest(name, names)}`,
      { hint: "Name a key, a column of sequenceBy, or in an upsert another column that is stored." },
    );
  }

  #checkText(template: string, part: string): void {
    for (const name of namesIn(template)) {
      const type = this.#check(name, part);
      if ((type.children ?? []).length === 0 && !DataType.isNull(type)) continue;
      throw new MillraceError(
        "OPTIONS_INVALID",
        `RestApi: ${this.#option}.${part} has {${name}}, whose values are not text`,
        { hint: "Name a column of text, numbers or times, or put the value into body." },
      );
    }
  }

  #textOf(name: string, values: NamedRow, part: string): string {
    const value = values[name] ?? null;
    if (value === null) throw unfit(`"${name}" is null, and ${part} needs a value`, name);
    return String(value);
  }
}

function namesIn(template: string): readonly string[] {
  return [...template.matchAll(PLACEHOLDER)].map(([, name = ""]) => name);
}

function unfit(problem: string, field: string | undefined): MillraceError {
  return new MillraceError("ROW_MISMATCH", `a change cannot be sent: ${problem}`, {
    where: field === undefined ? {} : { field },
    hint: "Correct the feed, leave such rows out where the stream is read, or change the option changes.",
  });
}

/** A value in the place of a text that is only its placeholder. Nothing in it is a placeholder. */
class Filled {
  readonly #value: unknown;

  constructor(value: unknown) {
    this.#value = value;
  }

  /** Called by `JSON.stringify`. */
  toJSON(): unknown {
    return this.#value;
  }
}
