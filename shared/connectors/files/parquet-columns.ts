import { DataType, type Field, type Schema } from "apache-arrow";
import { quotedName, typeName } from "../../contract/ddl/print.ts";
import { MillraceError } from "../../contract/errors.ts";
import { checkColumnNames, quoted } from "../kit/column-names.ts";
import { converterOf } from "../kit/parquet/convert.ts";
import { isReadableAs, showLeafType } from "../kit/parquet/leaf-types.ts";
import { type ColumnPlan, leafPlan, listPlan, mapPlan, structPlan } from "../kit/parquet/plans.ts";
import { fieldOf, fieldsOf, nodeOf, type Shape, shapeOf } from "../kit/parquet/shapes.ts";
import type { Leaf, SchemaNode, SchemaTree } from "../kit/parquet/tree.ts";
import { checkColumns, checkMissing, columnsMissing } from "./columns.ts";

export interface MatchOptions {
  /** What a column is that the file does not have. */
  readonly missingColumns: "error" | "null";
}

/**
 * Compares the types of a file with those of the schema. The result has a plan for each column of
 * the schema, `undefined` if the column is null in this file. Errors: `COLUMN_MISSING`,
 * `COLUMN_MISNAMED`, `COLUMN_TYPE_MISMATCH`, `TYPE_NOT_SUPPORTED`, `MalformedFileError`.
 */
export function matchSchema(
  { columns }: SchemaTree,
  schema: Schema,
  options: MatchOptions,
): (ColumnPlan | undefined)[] {
  const names = columns.map(({ element }) => element.name);
  checkColumns(schema, names);
  checkMissing(
    schema.fields.map(({ name }) => name),
    names,
    options,
  );
  return schema.fields.map((field) => {
    const node = findColumn(columns, field.name, [], options);
    return node && new Matcher(node, options).plan(shapeOf(node), field.type);
  });
}

/** Returns the schema of a file. Errors: as `matchSchema`. */
export function schemaOf({ columns }: SchemaTree): Field[] {
  return fieldsOf(columns);
}

function findColumn(
  nodes: readonly SchemaNode[],
  name: string,
  path: readonly string[],
  { missingColumns }: MatchOptions,
): SchemaNode | undefined {
  const found = nodeOf(nodes, name);
  if (found !== undefined || missingColumns === "null") return found;
  throw columnsMissing(
    [name],
    nodes.map(({ element }) => element.name),
    path.join("."),
  );
}

/** Compares one column of the schema with that of the file. */
class Matcher {
  readonly #column: SchemaNode;
  readonly #options: MatchOptions;

  constructor(column: SchemaNode, options: MatchOptions) {
    this.#column = column;
    this.#options = options;
  }

  plan(shape: Shape, type: DataType): ColumnPlan {
    switch (shape.kind) {
      case "leaf":
        return this.#leaf(shape.node, type);
      case "struct":
        return this.#struct(shape, type);
      case "list":
        return this.#list(shape, type);
      case "map":
        return this.#map(shape, type);
    }
  }

  #leaf(leaf: Leaf, type: DataType): ColumnPlan {
    if (!isReadableAs(leaf, type)) throw this.#mismatch(leaf, type, showLeafType(leaf), reasonOf(leaf, type));
    return leafPlan(leaf, converterOf(leaf, type));
  }

  #struct({ node, fields }: Shape & { kind: "struct" }, type: DataType): ColumnPlan {
    if (!DataType.isStruct(type)) throw this.#mismatch(node, type, "a group of columns");
    const found = fields.map(({ element }) => element.name);
    const wanted = type.children.map(({ name }) => name);
    checkColumnNames(wanted, found, {
      schema: ".schema(…)",
      prefix: `in ${quoted([node.path.join(".")])}: `,
    });
    if (!wanted.some((name) => found.includes(name)))
      throw this.#mismatch(node, type, `a group of ${quoted(found)}`);
    const plans = type.children.map((field) => {
      const child = findColumn(fields, field.name, node.path, this.#options);
      return child && this.plan(shapeOf(child), field.type);
    });
    return structPlan(node, plans);
  }

  #list(shape: Shape & { kind: "list" }, type: DataType): ColumnPlan {
    if (!DataType.isList(type)) throw this.#mismatch(shape.node, type, "a list");
    return listPlan(shape, this.plan(shape.item, type.valueType));
  }

  #map(shape: Shape & { kind: "map" }, type: DataType): ColumnPlan {
    if (!DataType.isMap(type)) throw this.#mismatch(shape.node, type, "a map");
    const key = this.plan(shapeOf(shape.key), type.keyType);
    const value = this.plan(shapeOf(shape.value), type.valueType);
    return mapPlan(shape, key, value);
  }

  #mismatch(node: SchemaNode, type: DataType, found: string, reason = ""): MillraceError {
    const field = node.path.join(".");
    return new MillraceError(
      "COLUMN_TYPE_MISMATCH",
      `column ${quoted([field])}: the schema has ${typeName(type)}, the file has ${found}${reason}`,
      { where: { field }, hint: this.#hint() },
    );
  }

  /** Returns the column as the schema should have it, so that it can be pasted. */
  #hint(): string {
    const { element } = this.#column;
    try {
      const { name, type } = fieldOf(this.#column);
      return `Write \`${quotedName(name)} ${typeName(type)}\` in .schema(…), as the file has it.`;
    } catch {
      // Another part of the column has a type that rows do not have.
      return `Write ${quoted([element.name])} in .schema(…) as the file has it, or leave it out.`;
    }
  }
}

function reasonOf({ element }: Leaf, type: DataType): string {
  if (element.annotation !== undefined) return "";
  if (element.type === "INT64" && (DataType.isTimestamp(type) || DataType.isTime(type)))
    return ", so its unit is not known";
  return DataType.isUtf8(type) ? ", so its bytes need not be text" : "";
}
