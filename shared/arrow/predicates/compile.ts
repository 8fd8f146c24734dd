import { Bool, type Field, type Schema } from "apache-arrow";
import type { Expression, Literal, Predicate, ScalarExpression } from "../../contract/write/predicates.ts";
import { always, and, checkText, comparison, inKeys, isNull, not, or, textTest } from "./conditions.ts";
import { invalidFilter, keyOfValue } from "./keys.ts";
import type { Condition, ValueNode } from "./nodes.ts";
import { commonField, computed, converted, fieldOfLiterals } from "./types.ts";
import {
  arithmeticNode,
  caseNode,
  checkComparable,
  coalesceNode,
  columnNode,
  conditionNode,
  constantNode,
  hashNode,
} from "./values.ts";

/** Returns what messages call a predicate or scalar expression. */
export type LabelOf = (name: string) => string;

/** Compiles predicates against the columns of one schema. */
export class Compiler {
  readonly #schema: Schema;
  readonly #labelOf: LabelOf;

  constructor(schema: Schema, labelOf: LabelOf) {
    this.#schema = schema;
    this.#labelOf = labelOf;
  }

  /** Returns the conjunction of predicates. Throws `FILTER_INVALID`. */
  conditions(predicates: readonly Predicate[]): Condition {
    return and(predicates.map((one) => this.#condition(one)));
  }

  /** Returns an expression that is not a literal. Throws `FILTER_INVALID`. */
  value(expression: Exclude<Expression, Literal>, label: string): ValueNode {
    return this.#value(expression, label);
  }

  #condition({ name, children }: Predicate): Condition {
    switch (name) {
      case "ALWAYS_TRUE":
      case "ALWAYS_FALSE":
        return always(name === "ALWAYS_TRUE");
      case "NOT":
        return not(this.conditions(children as readonly Predicate[]));
      case "AND":
        return this.conditions(children as readonly Predicate[]);
      case "OR":
        return or((children as readonly Predicate[]).map((child) => this.#condition(child)));
      default:
        return this.#test(name, children);
    }
  }

  #test(name: string, children: readonly Expression[]): Condition {
    const label = this.#labelOf(name);
    switch (name) {
      case "IS_NULL":
      case "IS_NOT_NULL": {
        const [value] = this.#aligned(children, label);
        const test = isNull(value as ValueNode);
        return name === "IS_NULL" ? test : not(test);
      }
      case "IN":
        return this.#inList(children, label);
      case "STARTS_WITH":
      case "ENDS_WITH":
      case "CONTAINS": {
        const [text, part] = this.#comparable(children, label, checkText);
        return textTest(name, text as ValueNode, part as ValueNode);
      }
      default: {
        const [left, right] = this.#comparable(children, label);
        return comparison(name, left as ValueNode, right as ValueNode);
      }
    }
  }

  #inList(children: readonly Expression[], label: string): Condition {
    const [value, ...list] = this.#comparable(children, label) as readonly [ValueNode, ...ValueNode[]];
    const keys = list.flatMap(({ constant }) => (constant === undefined ? [] : [constant]));
    if (keys.length === list.length) return inKeys(value, keys);
    return or(list.map((item) => comparison("=", value, item)));
  }

  /** Returns the arguments in one type, which has an order. */
  #comparable(
    children: readonly Expression[],
    label: string,
    check: typeof checkText = checkComparable,
  ): readonly ValueNode[] {
    return this.#aligned(children, label, check);
  }

  /**
   * Returns the arguments in one type. A literal takes the type of the columns that it is used
   * with.
   */
  #aligned(
    children: readonly Expression[],
    label: string,
    check?: (node: ValueNode, label: string) => void,
  ): readonly ValueNode[] {
    const nodes = children.map((child) => (child.kind === "literal" ? child : this.#value(child, label)));
    const typed = nodes.filter(isValueNode);
    for (const node of typed) check?.(node, label);
    const field =
      typed.length > 0
        ? typed.map((node) => node.field).reduce((one, other) => commonField(one, other, label))
        : fieldOfLiterals(
            nodes.map((node) => (node as Literal).value),
            label,
          );
    return nodes.map((node) =>
      isValueNode(node) ? converted(node, field) : literalNode(node, field, label),
    );
  }

  #value(expression: Exclude<Expression, Literal>, label: string): ValueNode {
    if (expression.kind === "reference") return columnNode(this.#schema, expression.attribute, label);
    if (expression.kind === "predicate")
      return conditionNode(this.#condition(expression), computed(new Bool()));
    return this.#scalar(expression);
  }

  #scalar({ name, children }: ScalarExpression): ValueNode {
    const label = this.#labelOf(name);
    if (name === "HASH")
      return hashNode(children.map((child) => this.#comparable([child], label)[0] as ValueNode));
    if (name !== "CASE_WHEN") {
      const operands = this.#comparable(children, label);
      return name === "COALESCE"
        ? coalesceNode(operands, fieldOf(operands))
        : arithmeticNode(name, operands, label);
    }
    const isCondition = (i: number) => i % 2 === 0 && i < children.length - 1;
    const values = this.#comparable(
      children.filter((_, i) => !isCondition(i)),
      label,
    );
    const conditions = children.filter((_, i) => isCondition(i)) as readonly Predicate[];
    return caseNode(
      conditions.map((one) => this.#condition(one)),
      values,
      fieldOf(values),
    );
  }
}

function isValueNode(node: ValueNode | Literal): node is ValueNode {
  return "field" in node;
}

function literalNode({ value }: Literal, field: Field, label: string): ValueNode {
  return constantNode(field, keyOfValue(field, value, `${label} compares with a value that does not fit`));
}

function fieldOf([first]: readonly ValueNode[]): Field {
  if (first === undefined) throw invalidFilter("an expression has no arguments");
  return first.field;
}
