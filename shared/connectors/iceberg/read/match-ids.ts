import { DataType, TimeNanosecond } from "apache-arrow";
import { quoted } from "../../kit/column-names.ts";
import { MalformedFileError } from "../../kit/malformed.ts";
import { converterOf } from "../../kit/parquet/convert.ts";
import { isReadableAs, showLeafType } from "../../kit/parquet/leaf-types.ts";
import {
  type ColumnPlan,
  leafPlan,
  listPlan,
  mapPlan,
  presencePlan,
  structPlan,
} from "../../kit/parquet/plans.ts";
import { type Shape, shapeOf } from "../../kit/parquet/shapes.ts";
import type { Leaf, SchemaNode } from "../../kit/parquet/tree.ts";
import { arrowField } from "../format/arrow-schema.ts";
import { primitiveOf } from "../format/primitive.ts";
import type { IcebergType, NestedField, PrimitiveType } from "../format/types.ts";
import type { IdOf } from "./field-ids.ts";

/** Matches the columns of one file with the fields of a table by field id. */
export class IdMatcher {
  readonly #idOf: IdOf;

  constructor(idOf: IdOf) {
    this.#idOf = idOf;
  }

  /**
   * Returns a plan for each field, `undefined` if the field is null in this file. `isGiven` says
   * which fields have their values from elsewhere. Throws `MalformedFileError` if a required field
   * is missing, or the file has another type.
   */
  plans(
    nodes: readonly SchemaNode[],
    fields: readonly NestedField[],
    isGiven: (field: NestedField) => boolean = () => false,
  ): readonly (ColumnPlan | undefined)[] {
    return fields.map((field) => {
      const node = this.#find(nodes, field.id);
      if (node !== undefined) return this.#plan(node, shapeOf(node), field.type);
      if (!field.required || isGiven(field)) return undefined;
      throw new MalformedFileError(`it lacks the required column ${quoted([field.name])}, id ${field.id}`);
    });
  }

  /** True if the file has a column with the id. */
  has(nodes: readonly SchemaNode[], id: number): boolean {
    return this.#find(nodes, id) !== undefined;
  }

  #find(nodes: readonly SchemaNode[], id: number): SchemaNode | undefined {
    const [node, ...others] = nodes.filter((other) => this.#idOf(other) === id);
    if (node === undefined || others.length === 0) return node;
    throw new MalformedFileError(`it has the field id ${id} twice`);
  }

  #plan(node: SchemaNode, shape: Shape, type: IcebergType): ColumnPlan {
    if (typeof type === "string") {
      if (shape.kind === "leaf") return leafPlanOf(shape.node, type);
    } else if (type.type === "struct") {
      if (shape.kind === "struct") return this.#struct(shape.node, shape.fields, type.fields);
    } else if (type.type === "list") {
      if (shape.kind === "list") {
        this.#checkId(shape.item.node, type["element-id"]);
        return listPlan(shape, this.#plan(shape.item.node, shape.item, type.element));
      }
    } else if (shape.kind === "map") {
      this.#checkId(shape.key, type["key-id"]);
      this.#checkId(shape.value, type["value-id"]);
      const key = this.#plan(shape.key, shapeOf(shape.key), type.key);
      return mapPlan(shape, key, this.#plan(shape.value, shapeOf(shape.value), type.value));
    }
    throw mismatch(node, shape.kind === "leaf" ? showLeafType(shape.node) : `a ${shape.kind}`, type);
  }

  #struct(node: SchemaNode, nodes: readonly SchemaNode[], fields: readonly NestedField[]): ColumnPlan {
    const plans = this.plans(nodes, fields);
    return plans.some((plan) => plan !== undefined)
      ? structPlan(node, plans)
      : presencePlan(node, firstLeaf(node), fields.length);
  }

  #checkId(node: SchemaNode, id: number): void {
    const found = this.#idOf(node);
    if (found === id) return;
    throw new MalformedFileError(
      `its column ${quoted([node.path.join(".")])} has the field id ${found ?? "of no field"}, and the table has ${id}`,
    );
  }
}

function firstLeaf(node: SchemaNode): Leaf {
  let first = node;
  while (first.children[0] !== undefined) first = first.children[0];
  return first as Leaf;
}

function leafPlanOf(leaf: Leaf, type: PrimitiveType): ColumnPlan {
  const length = fixedLength(type);
  if (length !== undefined) {
    const { type: physical, typeLength, annotation } = leaf.element;
    const isPlain = annotation === undefined || annotation.kind === "UUID";
    if (physical !== "FIXED_LEN_BYTE_ARRAY" || typeLength !== length || !isPlain)
      throw mismatch(leaf, showLeafType(leaf), type);
    return leafPlan(leaf, (value) => value);
  }
  const target = rowTypeOf(type);
  if (!isReadableAs(leaf, target)) throw mismatch(leaf, showLeafType(leaf), type);
  return leafPlan(leaf, converterOf(leaf, target));
}

/** Returns the bytes of each value, for types whose values are such bytes. */
function fixedLength(type: PrimitiveType): number | undefined {
  const primitive = primitiveOf(type);
  if (primitive.kind === "fixed") return primitive.length;
  return primitive.kind === "uuid" ? 16 : undefined;
}

/** Returns the type of a column while its rows are collected, for which there is a builder. */
function rowTypeOf(type: PrimitiveType): DataType {
  const { type: own } = arrowField({ id: 0, name: "", required: false, type });
  return DataType.isTime(own) ? new TimeNanosecond() : own;
}

function mismatch(node: SchemaNode, found: string, type: IcebergType): MalformedFileError {
  const wanted = typeof type === "string" ? type : `a ${type.type}`;
  return new MalformedFileError(
    `its column ${quoted([node.path.join(".")])} is ${found}, and the table has ${wanted}`,
  );
}
