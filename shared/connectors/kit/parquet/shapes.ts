import { type DataType, Field, List, Map_, Struct } from "apache-arrow";
import { quoted } from "../column-names.ts";
import { MalformedFileError } from "../malformed.ts";
import { leafType, typeNotSupported } from "./leaf-types.ts";
import type { Leaf, SchemaNode } from "./tree.ts";

/**
 * A column or a part of one, as rows see it: lists and maps in place of the groups that store them.
 */
export type Shape =
  | { readonly kind: "leaf"; readonly node: Leaf }
  | { readonly kind: "struct"; readonly node: SchemaNode; readonly fields: readonly SchemaNode[] }
  | { readonly kind: "list"; readonly node: SchemaNode; readonly repeated: SchemaNode; readonly item: Shape }
  | {
      readonly kind: "map";
      readonly node: SchemaNode;
      readonly repeated: SchemaNode;
      readonly key: SchemaNode;
      readonly value: SchemaNode;
    };

/**
 * Returns the shape of a column, or of a field of a struct. Errors: `MalformedFileError`,
 * `TYPE_NOT_SUPPORTED`.
 */
export function shapeOf(node: SchemaNode): Shape {
  // A repeated field that is not in a LIST or MAP is a list, in which nothing is null.
  return isRepeated(node) ? { kind: "list", node, repeated: node, item: single(node) } : single(node);
}

/** Returns the shape of one value of a node, even if the node is repeated. */
function single(node: SchemaNode): Shape {
  const { type, annotation } = node.element;
  if (type !== undefined) return { kind: "leaf", node: node as Leaf };
  if (annotation?.kind === "VARIANT") throw typeNotSupported(node.path, "VARIANT");
  if (annotation?.kind === "LIST") return listOf(node);
  // A repeated group within a map had the same annotation, MAP_KEY_VALUE, as the map itself.
  if (annotation?.kind === "MAP" && !isRepeated(node)) return mapOf(node);
  if (node.children.length === 0) throw typeNotSupported(node.path, "a group without fields");
  return { kind: "struct", node, fields: node.children };
}

function listOf(node: SchemaNode): Shape {
  const [repeated, ...others] = node.children;
  if (repeated === undefined || others.length > 0 || !isRepeated(repeated))
    throw wrongGroup(node, "LIST", "one repeated field");
  return { kind: "list", node, repeated, item: itemOf(node, repeated) };
}

/** Follows the format's rules for the lists of old writers, which had no group for the item. */
function itemOf(list: SchemaNode, repeated: SchemaNode): Shape {
  const [item, ...others] = repeated.children;
  const { name } = repeated.element;
  const isItem =
    item === undefined ||
    others.length > 0 ||
    isRepeated(item) ||
    name === "array" ||
    name === `${list.element.name}_tuple`;
  return isItem ? single(repeated) : shapeOf(item);
}

function mapOf(node: SchemaNode): Shape {
  const [repeated, ...others] = node.children;
  const [key, value, ...more] = repeated?.children ?? [];
  if (
    repeated === undefined ||
    others.length > 0 ||
    !isRepeated(repeated) ||
    key === undefined ||
    more.length > 0
  )
    throw wrongGroup(node, "MAP", "one repeated group of a key and a value");
  // A map without values is a set of keys, and read as a list, as pyarrow does.
  return value === undefined
    ? { kind: "list", node, repeated, item: shapeOf(key) }
    : { kind: "map", node, repeated, key, value };
}

function wrongGroup({ path }: SchemaNode, kind: string, wanted: string): MalformedFileError {
  return new MalformedFileError(`its column ${quoted([path.join(".")])} is a ${kind} that is not ${wanted}`);
}

export function isRepeated({ element }: SchemaNode): boolean {
  return element.repetition === "REPEATED";
}

/** True if the column, or the field of a struct, may be null. */
export function isNullable({ element }: SchemaNode): boolean {
  return element.repetition === "OPTIONAL";
}

/** Returns the node with this name, if any. Error: `MalformedFileError` if there are two. */
export function nodeOf(nodes: readonly SchemaNode[], name: string): SchemaNode | undefined {
  const [node, ...others] = nodes.filter(({ element }) => element.name === name);
  if (node === undefined || others.length === 0) return node;
  throw new MalformedFileError(`it has the column ${quoted([node.path.join(".")])} twice`, {
    hint: "Write the file again with a name of its own for each column.",
  });
}

/** Returns the fields of a schema, or of a struct. Errors: as `shapeOf` and `nodeOf`. */
export function fieldsOf(nodes: readonly SchemaNode[]): Field[] {
  return nodes.map((node) => {
    nodeOf(nodes, node.element.name);
    return fieldOf(node);
  });
}

/** Returns a column of the file as a field of a schema. Errors: as `shapeOf`. */
export function fieldOf(node: SchemaNode): Field {
  return new Field(node.element.name, shapeType(shapeOf(node)), isNullable(node));
}

/** Returns the Arrow type of a shape. */
export function shapeType(shape: Shape): DataType {
  switch (shape.kind) {
    case "leaf":
      return leafType(shape.node);
    case "struct":
      return new Struct(fieldsOf(shape.fields));
    case "list": {
      const { item } = shape;
      return new List(new Field("element", shapeType(item), isNullable(item.node)));
    }
    case "map": {
      const { key, value } = shape;
      const entries = new Struct<{ key: DataType; value: DataType }>([
        new Field("key", shapeType(shapeOf(key)), false),
        new Field("value", shapeType(shapeOf(value)), isNullable(value)),
      ]);
      return new Map_(new Field("entries", entries, false));
    }
  }
}
