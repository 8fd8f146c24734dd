import {
  type DataType,
  Decimal,
  Field,
  Float32,
  Float64,
  Int32,
  Int64,
  List,
  Map_,
  Schema,
  Struct,
  Utf8,
} from "apache-arrow";
import fc from "fast-check";
import { expect, it } from "vitest";
import { planSchema, type SchemaPlan } from "../../../shared/connectors/iceberg/evolve/plan-schema.ts";
import { canonicalRows } from "../../../shared/connectors/iceberg/files/canonical.ts";
import { childrenOf, icebergSchemaOf } from "../../../shared/connectors/iceberg/format/schema.ts";
import type {
  IcebergSchema,
  IcebergType,
  NestedField,
} from "../../../shared/connectors/iceberg/format/types.ts";
import type { MillraceError } from "../../../shared/contract/errors.ts";
import type { OnSchemaChange } from "../../../shared/contract/write/write-info.ts";

const LEAVES: readonly (() => DataType)[] = [
  () => new Int32(),
  () => new Int64(),
  () => new Float32(),
  () => new Float64(),
  () => new Decimal(2, 10, 128),
  () => new Decimal(2, 12, 128),
  () => new Utf8(),
];
const NAMES = ["a", "B", "c", "dD", "e", "f"];

/** Numbers that fast-check chose, one after the other, and 0 after the last. */
class Tape {
  readonly #numbers: readonly number[];
  #next = 0;

  constructor(numbers: readonly number[]) {
    this.#numbers = numbers;
  }

  below(limit: number): number {
    return (this.#numbers[this.#next++] ?? 0) % limit;
  }

  isLucky(oneIn: number): boolean {
    return this.below(oneIn) === 1;
  }
}

function randomType(tape: Tape, depth: number): DataType {
  const kind = depth === 0 ? 0 : tape.below(7);
  if (kind < 4) return (LEAVES[tape.below(LEAVES.length)] as () => DataType)();
  if (kind === 4) return new Struct(randomFields(tape, depth - 1, 1 + tape.below(3)));
  if (kind === 5) return new List(new Field("element", randomType(tape, depth - 1), !tape.isLucky(3)));
  return mapOf(randomType(tape, 0), randomType(tape, depth - 1), !tape.isLucky(3));
}

function mapOf(key: DataType, value: DataType, nullable: boolean): DataType {
  const fields = [new Field("key", key, false), new Field("value", value, nullable)];
  return new Map_(new Field("entries", new Struct<{ key: DataType; value: DataType }>(fields), false));
}

function randomFields(tape: Tape, depth: number, count: number): Field[] {
  return NAMES.slice(0, count).map((name) => new Field(name, randomType(tape, depth), !tape.isLucky(3)));
}

/** Returns the fields as another program may send them: some missing, new, wider or renamed. */
function changedFields(tape: Tape, fields: readonly Field[]): Field[] {
  const kept = fields.flatMap((field) => (tape.isLucky(6) ? [] : [changedField(tape, field)]));
  const added = tape.isLucky(3)
    ? [new Field(NAMES[tape.below(6)] as string, randomType(tape, 1), !tape.isLucky(3))]
    : [];
  return tape.isLucky(2) ? [...added, ...kept].reverse() : [...kept, ...added];
}

function changedField(tape: Tape, field: Field): Field {
  const name = tape.isLucky(8) ? field.name.toUpperCase() : field.name;
  return new Field(name, changedType(tape, field.type), tape.isLucky(4) ? !field.nullable : field.nullable);
}

function changedType(tape: Tape, type: DataType): DataType {
  const children = (type.children ?? []) as readonly Field[];
  if (children.length === 0) return tape.isLucky(3) ? neighbour(type) : type;
  if (type instanceof Struct) return new Struct(changedFields(tape, children));
  if (type instanceof List) return new List(changedField(tape, children[0] as Field));
  const [key, value] = (children[0]?.type.children ?? []) as readonly Field[];
  const ownKey = key?.type as DataType;
  return mapOf(
    tape.isLucky(8) ? neighbour(ownKey) : ownKey,
    changedType(tape, value?.type as DataType),
    true,
  );
}

/** Returns the wider or narrower type of the same kind. */
function neighbour(type: DataType): DataType {
  const index = LEAVES.findIndex((make) => String(make()) === String(type));
  return (LEAVES[index ^ 1] ?? LEAVES[index] ?? (LEAVES[0] as () => DataType))();
}

/** A field of a table with its place. */
interface Placed {
  readonly field: NestedField;
  readonly parent: number;
  readonly isInKey: boolean;
}

function* placed(type: IcebergType, parent = 0, isInKey = false): Generator<Placed> {
  const isMap = typeof type !== "string" && type.type === "map";
  for (const [i, field] of childrenOf(type).entries()) {
    const isKey = isInKey || (isMap && i === 0);
    yield { field, parent, isInKey: isKey };
    yield* placed(field.type, field.id, isKey);
  }
}

const WIDER: Readonly<Record<string, string>> = {
  int: "long",
  float: "double",
  "decimal(10, 2)": "decimal(12, 2)",
};

/** What Iceberg's specification forbids between a schema and the next. Returns the breaches. */
function breaches(before: IcebergSchema, lastColumnId: number, plan: SchemaPlan): string[] {
  const [old, now] = [byId(before), byId(plan.schema)];
  const kept = [...old].flatMap(([id, at]) =>
    changesOf(at, now.get(id)).map((what) => `field ${id}: ${what}`),
  );
  const added = [...now.values()].filter(({ field }) => !old.has(field.id));
  const identifiers = plan.schema["identifier-field-ids"] ?? [];
  return [
    ...(now.size === [...placed(plan.schema)].length ? [] : ["two fields have one id"]),
    ...kept,
    ...wrongIds(added, lastColumnId, plan.lastColumnId),
    ...added.flatMap(({ field, parent, isInKey }) => {
      if (parent !== 0 && !old.has(parent)) return [];
      const isRefused = isInKey || field.required;
      return isRefused ? [`${field.name} is new and required, or new in a key`] : [];
    }),
    ...identifiers
      .filter((id) => now.get(id)?.field.required !== true)
      .map((id) => `${id} identifies no row`),
  ];
}

function byId(schema: IcebergSchema): ReadonlyMap<number, Placed> {
  return new Map([...placed(schema)].map((at) => [at.field.id, at]));
}

function wrongIds(added: readonly Placed[], before: number, after: number): string[] {
  const ids = added.map(({ field }) => field.id).sort((one, other) => one - other);
  const isNext = ids.every((id, i) => id === before + 1 + i) && after === before + ids.length;
  return isNext ? [] : [`new ids are ${ids}, after ${before} and up to ${after}`];
}

function changesOf(before: Placed, after: Placed | undefined): string[] {
  if (after === undefined) return ["gone"];
  const [one, other] = [before.field, after.field];
  const found: string[] = [];
  if (one.name !== other.name) found.push("another name");
  if (before.parent !== after.parent) found.push("another parent");
  if (!one.required && other.required) found.push("required now");
  if (typeof one.type === "string" && one.type !== other.type && WIDER[one.type] !== other.type)
    found.push(`${one.type} became ${JSON.stringify(other.type)}`);
  if (before.isInKey && JSON.stringify(one) !== JSON.stringify(other)) found.push("a key changed");
  const [ids, otherIds] = [one, other].map(({ type }) => childrenOf(type).map(({ id }) => id));
  if (ids?.some((id, i) => otherIds?.[i] !== id)) found.push("its fields moved");
  return found;
}

const CASES = fc.record({
  tape: fc.array(fc.nat(1_000_000), { minLength: 20, maxLength: 120 }),
  dropped: fc.nat(3),
  mode: fc.constantFrom<OnSchemaChange>("fail", "evolve", "ignore"),
});

it("A planned schema keeps Iceberg's rules of evolution, and planning it again changes nothing", () => {
  const seen = { refused: 0, planned: 0, add: 0, widen: 0, relax: 0, ignored: 0, unchanged: 0 };
  fc.assert(
    fc.property(CASES, ({ tape: numbers, dropped, mode }) => {
      const tape = new Tape(numbers);
      const table = randomFields(tape, 2, 1 + tape.below(4));
      const { schema, lastColumnId: highest } = icebergSchemaOf(new Schema(table));
      const identifiers = schema.fields.filter(({ type, required }) => type === "int" && required);
      const current: IcebergSchema = tape.isLucky(2)
        ? { ...schema, "identifier-field-ids": identifiers.map(({ id }) => id) }
        : schema;
      const lastColumnId = highest + dropped;
      const rows = new Schema(changedFields(tape, table));
      let plan: SchemaPlan;
      try {
        plan = planSchema(current, lastColumnId, rows, mode);
      } catch (error) {
        expect((error as MillraceError).code).toBe("SCHEMA_CHANGED");
        seen.refused++;
        return;
      }
      seen.planned++;
      for (const { kind } of plan.changes) seen[kind]++;
      seen.ignored += plan.ignored.length;
      expect(breaches(current, lastColumnId, plan)).toEqual([]);
      if (mode !== "evolve") expect(plan.changes).toEqual([]);
      if (mode !== "ignore") expect(plan.ignored).toEqual([]);
      if (plan.changes.length === 0) {
        seen.unchanged++;
        expect(plan.schema).toBe(current);
      } else expect(plan.schema).not.toEqual(current);
      // Tasks find each column where planning found it.
      const extra = plan.ignored.length === 0 ? "refuse" : "leave-out";
      expect(() => canonicalRows(rows, plan.schema, {}, extra)).not.toThrow();
      const again = planSchema(plan.schema, plan.lastColumnId, rows, mode);
      expect(again.schema).toBe(plan.schema);
      expect(again).toEqual({ ...plan, changes: [] });
    }),
    { numRuns: 3000 },
  );
  // Each kind of outcome occurs, so that the property is no empty promise.
  for (const [kind, count] of Object.entries(seen)) expect(count, kind).toBeGreaterThan(20);
});
