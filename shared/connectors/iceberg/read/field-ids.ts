import { MalformedFileError } from "../../kit/malformed.ts";
import { shapeOf } from "../../kit/parquet/shapes.ts";
import type { SchemaNode, SchemaTree } from "../../kit/parquet/tree.ts";
import type { MappedField } from "./name-mapping.ts";

/** Returns the field id of a column of a file, or of a part of one. */
export type IdOf = (node: SchemaNode) => number | undefined;

/**
 * Returns the field ids of a file: those in the file, or those of the name mapping if the file has
 * none. Throws `MalformedFileError` if there are neither.
 */
export function fieldIdsOf({ columns }: SchemaTree, mapping: readonly MappedField[] | undefined): IdOf {
  if (hasIds(columns)) return ({ element }) => element.fieldId;
  if (mapping === undefined) {
    throw new MalformedFileError("it has no field ids, and the table has no name mapping", {
      hint: "Set the table property `schema.name-mapping.default`, for example with Spark's `add_files` or pyiceberg.",
    });
  }
  const ids = new Map<SchemaNode, number>();
  mapFields(columns, mapping, ids);
  return (node) => ids.get(node);
}

function hasIds(nodes: readonly SchemaNode[]): boolean {
  return nodes.some(({ element, children }) => element.fieldId !== undefined || hasIds(children));
}

function mapFields(
  nodes: readonly SchemaNode[],
  mapping: readonly MappedField[],
  ids: Map<SchemaNode, number>,
): void {
  for (const node of nodes) mapNode(node, node.element.name, mapping, ids);
}

/** `name` is the name in the mapping, which calls the parts of lists and maps always the same. */
function mapNode(
  node: SchemaNode,
  name: string,
  mapping: readonly MappedField[],
  ids: Map<SchemaNode, number>,
): void {
  const mapped = mapping.find(({ names }) => names.includes(name));
  if (mapped === undefined) return;
  if (mapped["field-id"] !== undefined) ids.set(node, mapped["field-id"]);
  const inner = mapped.fields ?? [];
  if (inner.length === 0) return;
  const shape = shapeOf(node);
  if (shape.kind === "struct") mapFields(shape.fields, inner, ids);
  else if (shape.kind === "list") mapNode(shape.item.node, "element", inner, ids);
  else if (shape.kind === "map") {
    mapNode(shape.key, "key", inner, ids);
    mapNode(shape.value, "value", inner, ids);
  }
}
