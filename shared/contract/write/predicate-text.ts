import type { Attribute, Filter, FilterValue } from "../filters.ts";
import type { Expression, Predicate } from "./predicates.ts";

/** Returns a predicate as Spark prints it, such as `(p = 2) OR (id < 1)`. */
export function predicateText(predicate: Predicate): string {
  return expressionText(predicate);
}

/** Returns predicates as Spark prints a list of them: `[p = 1, id > 3]`. */
export function predicatesText(predicates: readonly Predicate[]): string {
  return `[${predicates.map(predicateText).join(", ")}]`;
}

function expressionText(expression: Expression): string {
  if (expression.kind === "reference") return attributeText(expression.attribute);
  if (expression.kind === "literal") return literalText(expression.value);
  const { name, children } = expression;
  const print = TEXTS[name];
  return print === undefined ? `${name}(${children.map(expressionText).join(", ")})` : print(children, name);
}

type Print = (children: readonly Expression[], name: string) => string;

const comparison: Print = (children, name) => children.map(operandText).join(` ${name} `);

const combination: Print = (children, name) =>
  children.map((child) => `(${expressionText(child)})`).join(` ${name} `);

const TEXTS: Readonly<Record<string, Print>> = {
  ALWAYS_TRUE: () => "TRUE",
  ALWAYS_FALSE: () => "FALSE",
  AND: combination,
  OR: combination,
  NOT: ([child]) => `NOT (${child && expressionText(child)})`,
  "=": comparison,
  "<>": comparison,
  "<=>": ([left, right]) => nullSafeText(left && operandText(left), right && operandText(right)),
  "<": comparison,
  "<=": comparison,
  ">": comparison,
  ">=": comparison,
  IN: ([value, ...list]) => inText(value && expressionText(value), list.map(expressionText)),
  IS_NULL: ([child]) => `${child && expressionText(child)} IS NULL`,
  IS_NOT_NULL: ([child]) => `${child && expressionText(child)} IS NOT NULL`,
  STARTS_WITH: (children) => likeText(children, (pattern) => `${pattern}%`),
  ENDS_WITH: (children) => likeText(children, (pattern) => `%${pattern}`),
  CONTAINS: (children) => likeText(children, (pattern) => `%${pattern}%`),
  "+": comparison,
  "*": comparison,
  "-": (children, name) =>
    children.length === 1 ? name + children.map(operandText).join("") : comparison(children, name),
  CASE_WHEN: caseText,
};

/** Returns an argument, in brackets if it has several arguments itself. */
function operandText(expression: Expression): string {
  const text = expressionText(expression);
  return "children" in expression && expression.children.length > 1 ? `(${text})` : text;
}

function nullSafeText(left: string | undefined, right: string | undefined): string {
  return `((${left} IS NOT NULL AND ${right} IS NOT NULL AND ${left} = ${right}) OR (${left} IS NULL AND ${right} IS NULL))`;
}

function inText(value: string | undefined, list: readonly string[]): string {
  if (list.length > 0) return `${value} IN (${list.join(", ")})`;
  return `CASE WHEN ${value} IS NULL THEN NULL ELSE FALSE END`;
}

/** Spark takes the first and the last character of the text for quotes. */
function likeText([left, right]: readonly Expression[], toPattern: (text: string) => string): string {
  const text = right === undefined ? "" : expressionText(right);
  const pattern = toPattern(text.slice(1, -1).replace(/[_%]/g, "\\$&"));
  return `${left && expressionText(left)} LIKE '${pattern}' ESCAPE '\\'`;
}

function caseText(children: readonly Expression[]): string {
  const texts = children.map(expressionText);
  const parts = texts.map((text, i) => {
    if (i % 2 === 1) return `THEN ${text}`;
    return i === texts.length - 1 ? `ELSE ${text}` : `WHEN ${text}`;
  });
  return ["CASE", ...parts, "END"].join(" ");
}

function literalText(value: FilterValue): string {
  return typeof value === "string" ? `'${value.replaceAll("'", "''")}'` : valueText(value);
}

/** Returns a filter as Spark prints it, such as `EqualTo(p,1)`. */
export function filterText(filter: Filter): string {
  switch (filter.kind) {
    case "AlwaysTrue":
    case "AlwaysFalse":
      return `${filter.kind}()`;
    case "Not":
      return `Not(${filterText(filter.child)})`;
    case "And":
    case "Or":
      return `${filter.kind}(${filterText(filter.left)},${filterText(filter.right)})`;
    case "IsNull":
    case "IsNotNull":
      return `${filter.kind}(${attributeText(filter.attribute)})`;
    case "In":
      return `In(${attributeText(filter.attribute)}, [${filter.value.map(valueText).join(",")}])`;
    default:
      return `${filter.kind}(${attributeText(filter.attribute)},${valueText(filter.value)})`;
  }
}

/** Returns the path of a column, with each name in backticks unless it is a plain word. */
function attributeText(attribute: Attribute): string {
  return attribute
    .map((name) => (/^[A-Za-z_]\w*$/.test(name) ? name : `\`${name.replaceAll("`", "``")}\``))
    .join(".");
}

function valueText(value: FilterValue): string {
  if (value instanceof Uint8Array) return `0x${Array.from(value, hexText).join("")}`;
  return value instanceof Date ? value.toISOString() : String(value);
}

const hexText = (byte: number): string => byte.toString(16).padStart(2, "0").toUpperCase();
