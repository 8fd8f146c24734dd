import { MillraceError } from "./errors.ts";
import { kindOf } from "./json.ts";
import { type InstantLike, toIso, toMicros } from "./time.ts";

/** How a field of an offset is ordered, and what it holds: in the offset, and in a row. */
export interface OffsetFieldTypes {
  /** By the moment, whatever its zone. */
  readonly timestamp: { readonly offset: string; readonly row: InstantLike };
  /** By the integer, of any size; text in the offset. */
  readonly bigint: { readonly offset: string; readonly row: bigint | number | string };
  /** By the number, which is finite. */
  readonly number: { readonly offset: number; readonly row: number };
  /** By code points, as UTF-8 bytes and SQL's `COLLATE "C"` order it. */
  readonly string: { readonly offset: string; readonly row: string };
}

/** The fields of an offset, in the order in which they count. */
export type OffsetFields = Readonly<Record<string, keyof OffsetFieldTypes>>;

/** What an offset with these fields looks like, and a row at which there is one. */
export type OffsetFieldsAs<F extends OffsetFields, Where extends "offset" | "row"> = {
  readonly [Name in keyof F]: OffsetFieldTypes[F[Name]][Where];
};

/** The offsets of a `CompositeOffset`: `type Position = OffsetOf<typeof ORDER>`. */
export type OffsetOf<C extends { readonly fields: OffsetFields }> = OffsetFieldsAs<C["fields"], "offset">;

/**
 * Offsets of several fields in a total order: the first field counts, the second if the first is
 * equal, and so on. For sources whose rows are ordered by a time that many rows may share, and an
 * id: `new CompositeOffset({ updated_at: "timestamp", id: "bigint" })`. Its functions need no
 * `this`.
 */
export class CompositeOffset<const F extends OffsetFields> {
  /** As given. */
  readonly fields: F;

  /**
   * Error: `OFFSET_FIELD_INVALID` if there is no field, or one whose name is a number:
   * JavaScript would not keep its place.
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
   * The offset at a row, whose other fields are left out: JSON, and equal if the position is.
   * Error: `OFFSET_FIELD_INVALID`, also for null, which has no place in an order.
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
   * Negative if `a` comes before `b`, 0 if they are the same position. Error:
   * `OFFSET_FIELD_INVALID`, also for a field that is not one of these.
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

  /** True if `a` comes after `b`. Errors as `compare`. */
  readonly isAfter = (a: OffsetFieldsAs<F, "offset">, b: OffsetFieldsAs<F, "offset">): boolean =>
    this.compare(a, b) > 0;

  /** The one that comes last; `a` if they are the same position. Errors as `compare`. */
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

/** A field's value, fit for `<`. */
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
      // JSON has no -0.
      if (Number.isFinite(value)) return (value as number) + 0;
      throw invalid(name, "a finite number", value);
    case "string":
      if (typeof value === "string") return value;
      throw invalid(name, "a string", value);
  }
}

/** JavaScript compares UTF-16 units, in which U+FFFD comes after U+10000. */
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
