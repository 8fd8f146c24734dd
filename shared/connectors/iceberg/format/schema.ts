import { DataType, type Decimal, type Field, type Int, Precision, type Schema } from "apache-arrow";
import { isBytes, isText } from "../../../arrow/convert/leaves.ts";
import { typeName } from "../../../contract/ddl/print.ts";
import { MillraceError } from "../../../contract/errors.ts";
import { MAX_DECIMAL_PRECISION } from "./primitive.ts";
import type { IcebergSchema, IcebergType, NestedField, PrimitiveType, StructType } from "./types.ts";

/** Returns the next field id, which no other field has. */
export type NextId = () => number;

/** Returns a counter of field ids. The first id is `lastColumnId + 1`. */
export function idsAfter(lastColumnId: number): NextId {
  let last = lastColumnId;
  return () => ++last;
}

/**
 * Returns the Iceberg schema of rows. Ids are assigned as Iceberg's Java library does: all fields
 * of a struct get theirs before the fields inside them. Throws `COLUMN_TYPE_NOT_SUPPORTED` with all
 * columns whose types Iceberg does not have.
 */
export function icebergSchemaOf(rows: Schema): {
  readonly schema: IcebergSchema;
  readonly lastColumnId: number;
} {
  checkSupported(rows.fields);
  let lastColumnId = 0;
  const fields = structFields(rows.fields, () => ++lastColumnId);
  return { schema: { type: "struct", "schema-id": 0, fields }, lastColumnId };
}

/**
 * Returns the Iceberg type of a field. The fields inside it get their ids from `nextId`. Throws
 * `COLUMN_TYPE_NOT_SUPPORTED`.
 */
export function typeOf(field: Field, nextId: NextId): IcebergType {
  checkSupported([field]);
  return convertedType(field.type, nextId);
}

/**
 * Returns the fields directly inside a type: also the element of a list, key and value of a map.
 */
export function childrenOf(type: IcebergType): readonly NestedField[] {
  if (typeof type === "string") return [];
  if (type.type === "struct") return type.fields;
  if (type.type === "list") {
    return [
      {
        id: type["element-id"],
        name: "element",
        required: type["element-required"],
        type: type.element,
      },
    ];
  }
  return [
    { id: type["key-id"], name: "key", required: true, type: type.key },
    { id: type["value-id"], name: "value", required: type["value-required"], type: type.value },
  ];
}

/**
 * Returns the field with an id, preceded by the fields that contain it, or `undefined` if there is
 * none.
 */
export function pathOf(parent: IcebergType, id: number): readonly NestedField[] | undefined {
  for (const field of childrenOf(parent)) {
    if (field.id === id) return [field];
    const inner = pathOf(field.type, id);
    if (inner !== undefined) return [field, ...inner];
  }
  return undefined;
}

/** Returns the field with an id, at any depth, or `undefined`. */
export function fieldById(parent: IcebergType, id: number): NestedField | undefined {
  return pathOf(parent, id)?.at(-1);
}

/**
 * Returns the field with a full name, such as `place.x`, preceded by the fields that contain it, or
 * `undefined` if there is none.
 */
export function pathByName(parent: StructType, name: string): readonly NestedField[] | undefined {
  for (const field of childrenOf(parent)) {
    if (field.name === name) return [field];
    if (!name.startsWith(`${field.name}.`) || typeof field.type === "string") continue;
    const inner = pathByName(
      { type: "struct", fields: childrenOf(field.type) },
      name.slice(field.name.length + 1),
    );
    if (inner !== undefined) return [field, ...inner];
  }
  return undefined;
}

/** Returns the full name of a path of fields, such as `place.x`. */
export function nameOf(path: readonly NestedField[]): string {
  return path.map(({ name }) => name).join(".");
}

/** A field without fields inside it. */
export interface LeafField {
  readonly id: number;
  readonly type: PrimitiveType;
  /** The full name, such as `place.x`. */
  readonly name: string;
  /** True if the field is inside a list or map. */
  readonly isRepeated: boolean;
}

/** Yields all leaves of a type, in the order of its fields. */
export function* leavesOf(parent: IcebergType, prefix = "", isRepeated = false): Generator<LeafField> {
  const isInside = isRepeated || (typeof parent !== "string" && parent.type !== "struct");
  for (const { id, name, type } of childrenOf(parent)) {
    const full = `${prefix}${name}`;
    if (typeof type === "string") yield { id, type, name: full, isRepeated: isInside };
    else yield* leavesOf(type, `${full}.`, isInside);
  }
}

/** Throws `COLUMN_TYPE_NOT_SUPPORTED` with all parts of the fields that Iceberg cannot store. */
function checkSupported(fields: readonly Field[]): void {
  const problems = fields.flatMap(({ type, name }) => unsupportedIn(type, `"${name}"`));
  if (problems.length === 0) return;
  throw new MillraceError(
    "COLUMN_TYPE_NOT_SUPPORTED",
    `Iceberg has no type for ${problems.length === 1 ? "a column" : "some columns"}: ${problems.join("; ")}`,
    { hint: "Leave such columns out, or give them another type in the pipeline's schema, such as string." },
  );
}

function unsupportedIn(given: DataType, path: string): readonly string[] {
  const type = plainType(given);
  const children = (type.children ?? []) as readonly Field[];
  if (children.length > 0 && !DataType.isUnion(type)) {
    return children.flatMap((child) => unsupportedIn(child.type, `${path}.${child.name}`));
  }
  return leafType(type) === undefined ? [`${path} is ${typeName(type)}`] : [];
}

/** Returns the fields of a struct. All of them get their ids before the fields inside them. */
function structFields(fields: readonly Field[], nextId: NextId): readonly NestedField[] {
  const ids = fields.map(() => nextId());
  return fields.map(({ name, nullable, type }, i) => ({
    id: ids[i] as number,
    name,
    required: !nullable,
    type: convertedType(type, nextId),
  }));
}

function convertedType(given: DataType, nextId: NextId): IcebergType {
  const type = plainType(given);
  if (DataType.isStruct(type)) return { type: "struct", fields: structFields(type.children, nextId) };
  const [child] = (type.children ?? []) as readonly Field[];
  if (child === undefined) return leafType(type) ?? throwUnchecked(type);
  if (DataType.isMap(type)) return mapType(child.type.children as readonly Field[], nextId);
  return {
    type: "list",
    "element-id": nextId(),
    element: convertedType(child.type, nextId),
    "element-required": !child.nullable,
  };
}

function mapType([key, value]: readonly Field[], nextId: NextId): IcebergType {
  if (key === undefined || value === undefined) throw new TypeError("a map without key and value");
  return {
    type: "map",
    "key-id": nextId(),
    "value-id": nextId(),
    key: convertedType(key.type, nextId),
    value: convertedType(value.type, nextId),
    "value-required": !value.nullable,
  };
}

/** Returns the type of a dictionary's values for a dictionary, and other types as they are. */
function plainType(type: DataType): DataType {
  return DataType.isDictionary(type) ? plainType(type.dictionary) : type;
}

function throwUnchecked(type: DataType): never {
  throw new TypeError(`${typeName(type)} was not checked`);
}

/** Returns the Iceberg type of a type without children, or `undefined` if there is none. */
function leafType(type: DataType): PrimitiveType | undefined {
  if (DataType.isBool(type)) return "boolean";
  if (DataType.isInt(type)) return integerType(type);
  if (DataType.isFloat(type)) return type.precision === Precision.DOUBLE ? "double" : "float";
  if (DataType.isDecimal(type)) return decimalType(type);
  if (DataType.isDate(type)) return "date";
  if (DataType.isTime(type)) return "time";
  if (DataType.isTimestamp(type)) return type.timezone ? "timestamptz" : "timestamp";
  if (isText(type)) return "string";
  if (DataType.isFixedSizeBinary(type)) return `fixed[${type.byteWidth}]`;
  return isBytes(type) ? "binary" : undefined;
}

function integerType({ bitWidth, isSigned }: Int): PrimitiveType {
  if (bitWidth < 32 || (bitWidth === 32 && isSigned)) return "int";
  return bitWidth === 64 && !isSigned ? "decimal(20, 0)" : "long";
}

function decimalType({ precision, scale }: Decimal): PrimitiveType | undefined {
  const isPossible = precision <= MAX_DECIMAL_PRECISION && scale >= 0 && scale <= precision;
  return isPossible ? `decimal(${precision}, ${scale})` : undefined;
}
