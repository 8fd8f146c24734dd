import { type Argument, type Expression, type Node, parseSync, Visitor } from "oxc-parser";

/** One place where a file names another file or a package: an import in any form, or a URL. */
export interface Import {
  /** The name as it is written, or `undefined` if the code computes the name. */
  readonly specifier: string | undefined;
  readonly line: number;
  /** `type` if the import is erased when the code runs, and `url` if it only names a file. */
  readonly kind: "value" | "type" | "url";
}

/**
 * Returns every import of a file, including imports of types. oxc parses the file, because
 * TypeScript 7 has no stable parser yet, and because bundlers and type strippers drop imports of
 * types.
 */
export function importsOf(path: string, source: string): Import[] {
  const { program, errors } = parseSync(path, source);
  const error = errors[0];
  if (error) throw new Error(`${path} cannot be parsed: ${error.message}`);
  const found: Import[] = [];
  const add = (node: Node, specifier: string | undefined, kind: Import["kind"] = "value"): void => {
    found.push({ specifier, line: source.slice(0, node.start).split("\n").length, kind });
  };
  new Visitor({
    ImportDeclaration: (node) => add(node, node.source.value, node.importKind),
    ExportAllDeclaration: (node) => add(node, node.source.value, node.exportKind),
    ExportNamedDeclaration: (node) => {
      if (node.source) add(node, node.source.value, node.exportKind);
    },
    ImportExpression: (node) => add(node, textOf(node.source)),
    TSImportType: (node) => add(node, node.source.value, "type"),
    TSExternalModuleReference: (node) => add(node, node.expression.value),
    CallExpression: (node) => {
      if (isRequire(node.callee)) add(node, textOf(node.arguments[0]));
    },
    NewExpression: (node) => {
      const [path, base] = node.arguments;
      if (isNamed(node.callee, "URL") && isImportMeta(base, "url")) add(node, textOf(path), "url");
    },
  }).visit(program);
  return found;
}

/** Returns true for `require` and `import.meta.resolve`. */
function isRequire(callee: Expression): boolean {
  return isNamed(callee, "require") || isImportMeta(callee, "resolve");
}

function isNamed(node: Expression, name: string): boolean {
  return node.type === "Identifier" && node.name === name;
}

function isImportMeta(node: Argument | undefined, property: string): boolean {
  return (
    node?.type === "MemberExpression" &&
    node.object.type === "MetaProperty" &&
    node.property.type === "Identifier" &&
    node.property.name === property
  );
}

function textOf(node: Argument | undefined): string | undefined {
  if (node?.type === "Literal" && typeof node.value === "string") return node.value;
  if (node?.type === "TemplateLiteral" && node.expressions.length === 0) {
    return node.quasis[0]?.value.cooked ?? undefined;
  }
  return undefined;
}
