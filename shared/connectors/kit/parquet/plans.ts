import {
  LeafReader,
  ListReader,
  MapReader,
  PresenceReader,
  StructReader,
  type ValueReader,
} from "./assembly.ts";
import type { Convert, Cursor } from "./cursor.ts";
import { isNullable, type Shape } from "./shapes.ts";
import type { Leaf, SchemaNode } from "./tree.ts";

/** How a column of the schema is read from the columns of a file. */
export interface ColumnPlan {
  /** The file's columns that are needed. */
  readonly leaves: readonly Leaf[];
  /** Makes the reader for one row group. */
  readonly open: (cursorOf: (leaf: Leaf, convert: Convert) => Cursor) => ValueReader;
}

export function leafPlan(leaf: Leaf, convert: Convert): ColumnPlan {
  return { leaves: [leaf], open: (cursorOf) => new LeafReader(cursorOf(leaf, convert), levelsOf(leaf)) };
}

/** Plans a struct. A field whose plan is `undefined` is null in each struct. */
export function structPlan(node: SchemaNode, fields: readonly (ColumnPlan | undefined)[]): ColumnPlan {
  return {
    leaves: fields.flatMap((plan) => plan?.leaves ?? []),
    open: (cursorOf) =>
      new StructReader(
        fields.map((plan) => plan?.open(cursorOf)),
        levelsOf(node),
      ),
  };
}

/** Plans a struct of `fields` fields that are all null. `leaf` is any column in the struct. */
export function presencePlan(node: SchemaNode, leaf: Leaf, fields: number): ColumnPlan {
  const levels = { ...levelsOf(node), repetition: node.repetition };
  return {
    leaves: [leaf],
    open: (cursorOf) =>
      new PresenceReader(
        cursorOf(leaf, (value) => value),
        fields,
        levels,
      ),
  };
}

export function listPlan(shape: Shape & { kind: "list" }, item: ColumnPlan): ColumnPlan {
  return {
    leaves: item.leaves,
    open: (cursorOf) => new ListReader(item.open(cursorOf), listLevelsOf(shape)),
  };
}

export function mapPlan(shape: Shape & { kind: "map" }, key: ColumnPlan, value: ColumnPlan): ColumnPlan {
  return {
    leaves: [...key.leaves, ...value.leaves],
    open: (cursorOf) => new MapReader(key.open(cursorOf), value.open(cursorOf), listLevelsOf(shape)),
  };
}

function levelsOf(node: SchemaNode): { readonly parent: number; readonly definition: number } {
  const { definition } = node;
  return { definition, parent: isNullable(node) ? definition - 1 : definition };
}

function listLevelsOf({ node, repeated }: Shape & { kind: "list" | "map" }): {
  readonly parent: number;
  readonly definition: number;
  readonly item: number;
  readonly repetition: number;
} {
  const { definition: item, repetition } = repeated;
  // Without a group around it, the list itself is always there.
  const group = node === repeated ? { parent: item - 1, definition: item - 1 } : levelsOf(node);
  return { ...group, item, repetition };
}
