import { quoted } from "../column-names.ts";
import { MalformedFileError } from "../malformed.ts";
import type { Footer, PhysicalType, SchemaElement } from "./footer.ts";

/** A column of the file, or a group of columns, with its place in the levels of its values. */
export interface SchemaNode {
  readonly element: SchemaElement;
  readonly path: readonly string[];
  readonly children: readonly SchemaNode[];
  /** The definition level from which on a value of this node is there. */
  readonly definition: number;
  /** The repetition level at which a value of this node repeats. */
  readonly repetition: number;
  /** Index among the file's columns. A group has that of its first column. */
  readonly leaf: number;
}

/** A column, which has values. */
export interface Leaf extends SchemaNode {
  readonly element: SchemaElement & { readonly type: PhysicalType };
}

/** Levels are stored in bytes. */
const MAX_LEVEL = 255;
const MAX_DEPTH = 500;

/** The file's schema as a tree. */
export interface SchemaTree {
  readonly columns: readonly SchemaNode[];
  readonly leaves: readonly Leaf[];
}

/** Builds the tree and checks it, also against the row groups. Error: `MalformedFileError`. */
export function treeOf({ schema, rowGroups }: Footer): SchemaTree {
  const builder = new TreeBuilder(schema);
  const [root] = schema;
  const children = Array.from({ length: root?.children ?? 0 }, () => builder.next(undefined));
  const { leaves, count } = builder;
  if (count !== schema.length) throw damaged("has more columns than it says");
  for (const [i, { columns }] of rowGroups.entries())
    if (columns.length !== leaves.length)
      throw damaged(`has ${leaves.length} columns, and row group ${i + 1} has ${columns.length}`);
  return { columns: children, leaves };
}

class TreeBuilder {
  readonly leaves: Leaf[] = [];
  readonly #schema: readonly SchemaElement[];
  /** Number of elements that were taken, with the root. */
  count = 1;

  constructor(schema: readonly SchemaElement[]) {
    this.#schema = schema;
  }

  /** Takes the next element with all elements in it. */
  next(parent: SchemaNode | undefined): SchemaNode {
    const element = this.#schema[this.count++];
    if (element === undefined) throw damaged("has fewer columns than it says");
    const path = [...(parent?.path ?? []), element.name];
    const { repetition } = element;
    const children: SchemaNode[] = [];
    const node = {
      element,
      path,
      children,
      definition: (parent?.definition ?? 0) + (repetition === "REQUIRED" ? 0 : 1),
      repetition: (parent?.repetition ?? 0) + (repetition === "REPEATED" ? 1 : 0),
      leaf: this.leaves.length,
    };
    if (node.definition > MAX_LEVEL || path.length > MAX_DEPTH) throw damaged("is nested too deeply");
    if (isLeaf(node)) this.leaves.push(node);
    for (let i = 0; i < element.children; i++) children.push(this.next(node));
    return node;
  }
}

function isLeaf(node: SchemaNode): node is Leaf {
  const { type, children, name } = node.element;
  if (type === undefined) return false;
  if (children > 0) throw damaged(`has the column ${quoted([name])} with a type and columns in it`);
  return true;
}

function damaged(problem: string): MalformedFileError {
  return new MalformedFileError(`the footer is damaged: its schema ${problem}`);
}
