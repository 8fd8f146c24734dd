import { canonicalJson, type JsonValue } from "../../contract/json.ts";

/** A condition on one field. It holds if at least one of the given alternatives holds. */
export interface Test<V> {
  readonly absent?: true;
  readonly present?: true;
  readonly oneOf?: readonly V[];
  readonly atMost?: V;
}

/** Conditions on several fields, all of which must hold. */
export type Where<Fields> = { readonly [F in keyof Fields]?: Test<NonNullable<Fields[F]>> };

/** The fields to set; `undefined` removes a field. */
export type FieldsToSet<T> = { readonly [F in keyof T]?: T[F] | undefined };

/**
 * A compare-and-set of one record, as plain data that each ledger translates for its database.
 * `Fields` are the fields that can be compared. A name with dots, such as `lease.owner.id`, refers
 * to a nested field.
 */
export interface Change<T, Fields = T> {
  /** The change is made if at least one of these holds. */
  readonly where: readonly Where<Fields>[];
  /** Fields to set. Empty for a change that only compares. */
  readonly set: FieldsToSet<T>;
  /** Values for fields that the record does not have yet. */
  readonly initial?: FieldsToSet<T>;
  /** Numbers to add to fields. A missing field counts as 0. */
  readonly add?: { readonly [F in keyof T]?: number };
}

export const ABSENT: Test<never> = { absent: true };
export const PRESENT: Test<never> = { present: true };

export function equal<V>(value: V): Test<V> {
  return { oneOf: [value] };
}

export function oneOf<V>(values: readonly V[]): Test<V> {
  return { oneOf: values };
}

export function absentOr<V>(value: V): Test<V> {
  return { absent: true, oneOf: [value] };
}

export function atMost(value: number): Test<number> {
  return { atMost: value };
}

/** True if one element of `where` holds for the record. Objects are compared as canonical JSON. */
export function holds<Fields>(where: readonly Where<Fields>[], record: object | undefined): boolean {
  return where.some((tests) =>
    Object.entries<Test<unknown> | undefined>(tests).every(
      ([path, test]) => test === undefined || passes(test, valueAt(record, path)),
    ),
  );
}

function passes(test: Test<unknown>, value: JsonValue | undefined): boolean {
  if (value === undefined) return test.absent === true;
  if (test.present === true) return true;
  if (typeof test.atMost === "number" && Number(value) <= test.atMost) return true;
  return test.oneOf?.some((one) => isSame(one as JsonValue, value)) ?? false;
}

function isSame(a: JsonValue, b: JsonValue): boolean {
  if (typeof a !== "object" || typeof b !== "object") return a === b;
  return canonicalJson(a) === canonicalJson(b);
}

function valueAt(record: object | undefined, path: string): JsonValue | undefined {
  let value: unknown = record;
  for (const name of path.split(".")) value = (value as Record<string, unknown> | undefined)?.[name];
  return value as JsonValue | undefined;
}

/** Returns the record after the change. */
export function applyChange<T extends object>(change: Omit<Change<T>, "where">, record: Partial<T>): T {
  const sums = Object.entries<number | undefined>(change.add ?? {}).map(([name, number = 0]) => [
    name,
    Number(record[name as keyof T] ?? 0) + number,
  ]);
  const fields = { ...change.initial, ...record, ...Object.fromEntries(sums), ...change.set };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}
