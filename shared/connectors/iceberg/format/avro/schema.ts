import { isDeepStrictEqual } from "node:util";
import { isPlainObject } from "../../../../contract/json.ts";
import { JsonFault } from "../../../kit/json-parser.ts";
import { parseJson } from "../json.ts";
import { AvroFault } from "./fault.ts";

const PRIMITIVES = ["null", "boolean", "int", "long", "float", "double", "string", "bytes"] as const;
type Primitive = (typeof PRIMITIVES)[number];

/**
 * A schema refers to its named types, so a few lines can describe millions of fields. Manifests of
 * wide partition specs have a few hundred.
 */
const MAX_NODES = 20_000;

interface Node {
  /** Smallest number of bytes of a value. */
  readonly least: number;
  /** Number of types in this one, each counted as often as it is used. */
  readonly nodes: number;
  readonly logical?: LogicalType;
}

/** The type of values in an Avro file, as its writer declared it. */
export type AvroType = Node &
  (
    | { readonly kind: Primitive }
    | { readonly kind: "fixed"; readonly size: number }
    | { readonly kind: "enum"; readonly symbols: readonly string[] }
    | { readonly kind: "array"; readonly items: AvroType }
    | { readonly kind: "map"; readonly values: AvroType }
    | { readonly kind: "union"; readonly branches: readonly AvroType[] }
    | AvroRecord
  );

export interface AvroRecord extends Node {
  readonly kind: "record";
  readonly fields: readonly AvroField[];
}

export interface AvroField {
  readonly name: string;
  /** Iceberg's field id. Files of some writers have none. */
  readonly id?: number;
  readonly type: AvroType;
}

export interface LogicalType {
  readonly name: string;
  readonly precision?: number;
  readonly scale?: number;
  readonly adjustToUtc?: boolean;
}

/** Parses the JSON text of a schema. Throws `AvroFault`. */
export function parseAvroSchema(text: string): AvroType {
  let json: unknown;
  try {
    json = parseJson(text);
  } catch (error) {
    if (!(error instanceof JsonFault)) throw error;
    throw new AvroFault("damaged", `its schema is not JSON: ${error.message}`);
  }
  return new SchemaParser().type(json, "");
}

/**
 * Returns the index of a field by its id. A field that has no id is found by its name. `undefined`
 * if there is none.
 */
export function findField(record: AvroRecord, id: number, name: string): number | undefined {
  const at = record.fields.findIndex((field) =>
    field.id === undefined ? field.name === name : field.id === id,
  );
  return at < 0 ? undefined : at;
}

class SchemaParser {
  readonly #named = new Map<string, AvroType>();

  type(json: unknown, namespace: string): AvroType {
    const type = this.#anyType(json, namespace);
    if (type.nodes > MAX_NODES)
      throw new AvroFault("unsupported", `its schema describes more than ${MAX_NODES} values`);
    return type;
  }

  #anyType(json: unknown, namespace: string): AvroType {
    if (typeof json === "string") return this.#byName(json, namespace);
    if (Array.isArray(json)) return this.#union(json, namespace);
    if (!isPlainObject(json)) throw wrong("a type is neither a name, a list nor an object");
    const { type } = json;
    if (typeof type !== "string") return this.type(type, namespace);
    if (isPrimitive(type)) return primitive(type, logicalOf(json));
    switch (type) {
      case "array":
        return container({ kind: "array", items: this.type(json["items"], namespace) });
      case "map":
        return container({ kind: "map", values: this.type(json["values"], namespace) });
      case "record":
      case "error":
      case "fixed":
      case "enum":
        return this.#define(type, json, namespace);
      default:
        return this.#byName(type, namespace);
    }
  }

  #byName(name: string, namespace: string): AvroType {
    if (isPrimitive(name)) return primitive(name);
    const found = this.#named.get(fullName(name, namespace)) ?? this.#named.get(name);
    if (found === undefined)
      throw new AvroFault(
        "unsupported",
        `its schema uses the type ${JSON.stringify(name)}, which it does not define before or which contains itself`,
      );
    return found;
  }

  #union(json: readonly unknown[], namespace: string): AvroType {
    const branches = json.map((branch) => this.type(branch, namespace));
    if (branches.length === 0) throw wrong("a union has no types");
    if (branches.some(({ kind }) => kind === "union")) throw wrong("a union is directly in a union");
    return {
      kind: "union",
      branches,
      least: 1 + Math.min(...branches.map(({ least }) => least)),
      nodes: 1 + sum(branches.map(({ nodes }) => nodes)),
    };
  }

  #define(kind: string, json: Record<string, unknown>, namespace: string): AvroType {
    const { name } = json;
    if (typeof name !== "string" || name === "") throw wrong("a named type has no name");
    const own = typeof json["namespace"] === "string" ? json["namespace"] : namespace;
    const full = fullName(name, own);
    const inside = full.includes(".") ? full.slice(0, full.lastIndexOf(".")) : "";
    const type = this.#definition(kind, json, inside);
    // Pyiceberg repeats the definition of a type, such as that of decimals, for each of its fields.
    const known = this.#named.get(full);
    if (known !== undefined && !isDeepStrictEqual(known, type))
      throw wrong(`the type ${JSON.stringify(name)} has two definitions`);
    this.#named.set(full, type);
    return type;
  }

  #definition(kind: string, json: Record<string, unknown>, namespace: string): AvroType {
    if (kind === "fixed") {
      const size = json["size"];
      if (!isCount(size)) throw wrong("a fixed type has no size");
      return { kind, size, least: size, nodes: 1, ...optionalLogical(logicalOf(json)) };
    }
    if (kind === "enum") {
      const symbols = listOf(json["symbols"]).filter((symbol) => typeof symbol === "string");
      return { kind, symbols, least: 1, nodes: 1 };
    }
    const fields = listOf(json["fields"]).map((field) => this.#field(field, namespace));
    return {
      kind: "record",
      fields,
      least: sum(fields.map(({ type }) => type.least)),
      nodes: 1 + sum(fields.map(({ type }) => type.nodes)),
    };
  }

  #field(json: unknown, namespace: string): AvroField {
    if (!isPlainObject(json) || typeof json["name"] !== "string") throw wrong("a field has no name");
    const id = json["field-id"];
    return {
      name: json["name"],
      ...(isCount(id) ? { id } : {}),
      type: this.type(json["type"], namespace),
    };
  }
}

function fullName(name: string, namespace: string): string {
  return name.includes(".") || namespace === "" ? name : `${namespace}.${name}`;
}

function primitive(kind: Primitive, logical?: LogicalType): AvroType {
  const least = kind === "null" ? 0 : kind === "float" ? 4 : kind === "double" ? 8 : 1;
  return { kind, least, nodes: 1, ...optionalLogical(logical) };
}

function optionalLogical(logical: LogicalType | undefined): { readonly logical?: LogicalType } {
  return logical === undefined ? {} : { logical };
}

/** Adds the sizes. An empty array or map takes one byte. */
function container(
  type:
    | { readonly kind: "array"; readonly items: AvroType }
    | { readonly kind: "map"; readonly values: AvroType },
): AvroType {
  const { nodes } = type.kind === "array" ? type.items : type.values;
  return { ...type, least: 1, nodes: nodes + 1 };
}

function logicalOf(json: Record<string, unknown>): LogicalType | undefined {
  const { logicalType: name, precision, scale } = json;
  if (typeof name !== "string") return undefined;
  const adjust = json["adjust-to-utc"];
  return {
    name,
    ...(isCount(precision) ? { precision } : {}),
    ...(isCount(scale) ? { scale } : {}),
    ...(typeof adjust === "boolean" ? { adjustToUtc: adjust } : {}),
  };
}

function isPrimitive(name: string): name is Primitive {
  return (PRIMITIVES as readonly string[]).includes(name);
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function listOf(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw wrong("a list of fields or symbols is missing");
  return value;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function wrong(problem: string): AvroFault {
  return new AvroFault("damaged", `its schema is wrong: ${problem}`);
}
