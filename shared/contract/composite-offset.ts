import { MillraceError } from "./errors.ts";
import { kindOf } from "./json.ts";
import { type InstantLike, toIso, toMicros } from "./time.ts";

/**
 * The types that a field of a `CompositeOffset` can have. `offset` is the field's type in the
 * offset, `row` its type in a row. Each property says how the field is ordered.
 */
export interface OffsetFieldTypes {
  /** Ordered by the instant; the time zone in the text does not matter. */
  readonly timestamp: { readonly offset: string; readonly row: InstantLike };
  /** Ordered as an integer of any size. The offset holds it as text. */
  readonly bigint: { readonly offset: string; readonly row: bigint | number | string };
  /** Ordered as a number. It must be finite. */
  readonly number: { readonly offset: number; readonly row: number };
  /** Ordered by code points, like UTF-8 bytes and like SQL's `COLLATE "C"`. */
  readonly string: { readonly offset: string; readonly row: string };
}

/** The fields of an offset, most significant first. */
export type OffsetFields = Readonly<Record<string, keyof OffsetFieldTypes>>;

/** The type of an offset with the fields `F`, or of a row that has these fields. */
export type OffsetFieldsAs<F extends OffsetFields, Where extends "offset" | "row"> = {
  readonly [Name in keyof F]: OffsetFieldTypes[F[Name]][Where];
};

/** The type of a `CompositeOffset`'s offsets: `type Position = OffsetOf<typeof ORDER>`. */
export type OffsetOf<C extends { readonly fields: OffsetFields }> = OffsetFieldsAs<C["fields"], "offset">;

/**
 * A total order of offsets with several fields. The first field is compared first; if it is equal,
 * the second field decides, and so on. Use it for a source whose rows are ordered by a time and,
 * within one time, by an id: `new CompositeOffset({ updated_at: "timestamp", id: "bigint" })`. Its
 * functions do not use `this`, so they can be passed around.
 */
export class CompositeOffset<const F extends OffsetFields> {
  /** The fields as passed to the constructor. */
  readonly fields: F;

  /**
   * Throws `OFFSET_FIELD_INVALID` if there is no field. Throws it also if the name of a field is a
   * whole number, because JavaScript would move such a key to the front.
   */
  constructor(fields: F) {
    this.fields = fields;
    const names = Object.keys(fields);
    const numeric = names.find((name) => /^\d+$/.test(name));
    if (names.length > 0 && numeric === undefined) return;
    const problem = numeric === undefined ? "has no field" : `has a field "${numeric}"`;
    throw new MillraceError("OFFSET_FIELD_INVALID", `a composite offset ${problem}`, {
      hint: 'Name its fields, those that count first: new CompositeOffset({ updated_at: "timestamp", id: "bigint" }).',
    });
  }

  /**
   * Returns the offset of a row, as JSON. Other fields of the row are left out, and equal positions
   * return equal offsets. Throws `OFFSET_FIELD_INVALID`, also for `null`, which has no place in the
   * order.
   */
  readonly of = (row: OffsetFieldsAs<F, "row">): OffsetFieldsAs<F, "offset"> => {
    const position = Object.entries(this.fields).map(([name, type]) => {
      const value = comparable(row, name, type);
      if (type === "timestamp") return [name, toIso(value as bigint)];
      return [name, typeof value === "bigint" ? String(value) : value];
    });
    return Object.fromEntries(position) as OffsetFieldsAs<F, "offset">;
  };

  /**
   * Returns the offset that this JSON is, in the form of `of`. It can be the reader's
   * `deserializeOffset`. Throws `OFFSET_FIELD_INVALID`, which names all fields that are unknown or
   * missing.
   */
  readonly deserialize = (json: { readonly [name: string]: unknown }): OffsetFieldsAs<F, "offset"> => {
    const problems = fieldProblems(json, Object.keys(this.fields));
    if (problems === undefined) return this.of(json as OffsetFieldsAs<F, "row">);
    throw new MillraceError("OFFSET_FIELD_INVALID", problems, {
      hint: `Its fields are ${Object.keys(this.fields).join(", ")}.`,
    });
  };

  /**
   * Returns a negative number if `a` comes before `b`, and 0 if both are the same position. Throws
   * `OFFSET_FIELD_INVALID`, also if an offset has a field that this order does not have.
   */
  readonly compare = (a: OffsetFieldsAs<F, "offset">, b: OffsetFieldsAs<F, "offset">): number => {
    for (const offset of [a, b]) this.#refuseOthers(offset);
    for (const [name, type] of Object.entries(this.fields)) {
      const [left, right] = [comparable(a, name, type), comparable(b, name, type)];
      const order =
        typeof left === "string" && typeof right === "string"
          ? compareCodePoints(left, right)
          : Number(left > right) - Number(left < right);
      if (order !== 0) return order;
    }
    return 0;
  };

  /** True if `a` comes after `b`. Throws the errors of `compare`. */
  readonly isAfter = (a: OffsetFieldsAs<F, "offset">, b: OffsetFieldsAs<F, "offset">): boolean =>
    this.compare(a, b) > 0;

  /**
   * Returns the later of two offsets, or `a` if they are the same position. Throws the errors of
   * `compare`.
   */
  readonly max = (
    a: OffsetFieldsAs<F, "offset">,
    b: OffsetFieldsAs<F, "offset">,
  ): OffsetFieldsAs<F, "offset"> => (this.isAfter(b, a) ? b : a);

  #refuseOthers(offset: object): void {
    const other = Object.keys(offset).find((name) => !Object.hasOwn(this.fields, name));
    if (other === undefined) return;
    throw new MillraceError("OFFSET_FIELD_INVALID", `an offset has a field "${other}"`, {
      where: { field: other },
      hint: `Its fields are ${Object.keys(this.fields).join(", ")}: make it of a row with of(row). Was it recorded by another version of the source?`,
    });
  }
}

/** Says which fields of an offset are unknown or missing, or returns `undefined`. */
function fieldProblems(offset: object, names: readonly string[]): string | undefined {
  const quoted = (of: readonly string[]) => of.map((name) => `"${name}"`).join(", ");
  const unknown = Object.keys(offset).filter((name) => !names.includes(name));
  const missing = names.filter((name) => !Object.hasOwn(offset, name));
  const problems = [
    ...(unknown.length === 0 ? [] : [`unknown: ${quoted(unknown)}`]),
    ...(missing.length === 0 ? [] : [`missing: ${quoted(missing)}`]),
  ];
  return problems.length === 0 ? undefined : `fields of the offset are ${problems.join("; ")}`;
}

/**
 * Returns the value of a field as a bigint, number or string that can be compared. Strings must be
 * compared with `compareCodePoints`.
 */
function comparable(offset: object, name: string, type: keyof OffsetFieldTypes): bigint | number | string {
  const value: unknown = Object.hasOwn(offset, name) ? Reflect.get(offset, name) : undefined;
  switch (type) {
    case "timestamp":
      try {
        return toMicros(value as InstantLike);
      } catch (cause) {
        throw invalid(name, "a time with its zone, of whole microseconds", value, cause);
      }
    case "bigint":
      if (typeof value === "bigint" || Number.isSafeInteger(value)) return BigInt(value as bigint | number);
      if (typeof value === "string" && /^-?\d+$/.test(value)) return BigInt(value);
      throw invalid(name, "an integer, beyond 2^53 as text or bigint", value);
    case "number":
      // Adding 0 turns -0 into 0, because JSON has no -0.
      if (Number.isFinite(value)) return (value as number) + 0;
      throw invalid(name, "a finite number", value);
    case "string":
      if (typeof value === "string") return value;
      throw invalid(name, "a string", value);
  }
}

/**
 * Compares by code points. JavaScript's `<` compares UTF-16 units, which puts U+FFFD after U+10000.
 */
function compareCodePoints(a: string, b: string): number {
  let i = 0;
  while (i < a.length && a[i] === b[i]) i++;
  return (a.codePointAt(i) ?? -1) - (b.codePointAt(i) ?? -1);
}

function invalid(name: string, expected: string, value: unknown, cause?: unknown): MillraceError {
  const found = value === undefined ? "nothing" : kindOf(value);
  return new MillraceError(
    "OFFSET_FIELD_INVALID",
    `offset field "${name}": expected ${expected}, found ${found}`,
    {
      where: { field: name },
      hint: `Rows without a "${name}" have no place in the order: leave them out where the source is asked, or order by another field.`,
      ...(cause === undefined ? {} : { cause }),
    },
  );
}
