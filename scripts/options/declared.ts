import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Comment, parseSync } from "oxc-parser";

/** An option as its TypeScript interface declares it. */
export interface DeclaredOption {
  /** Names joined by dots: `timeRange.column`. The values of a record are under `<name>`. */
  readonly path: string;
  /** The type as it is written, or the names of the types that the option has inside. */
  readonly type: string;
  readonly isRequired: boolean;
  /** The docstring as one line of Markdown. */
  readonly doc: string;
  /** The value of `type` for which a discriminated union has the option, such as `cursor`. */
  readonly kind: string | undefined;
}

/**
 * Returns the key under which an option of a discriminated union's part is told from the others.
 */
export function keyOf(path: string, kind: string | undefined): string {
  return kind === undefined ? path : `${path} of ${kind}`;
}

/** A node of the syntax tree. Only the fields that are read here. */
interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [name: string]: unknown;
}

interface Declaration {
  readonly node: Node;
  readonly file: SourceFile;
}

interface SourceFile {
  readonly text: string;
  readonly comments: readonly Comment[];
}

/**
 * Returns the options of an interface that a file in `folder` declares, by their `keyOf`. Nested
 * ones come after their parent. They may have types of the folder `common`.
 */
export function declaredOptions(
  folder: string,
  interfaceName: string,
  common: string,
): Map<string, DeclaredOption> {
  const declarations = new Map([...declarationsIn(common), ...declarationsIn(folder)]);
  const declaration = declarations.get(interfaceName);
  if (declaration === undefined) throw new Error(`${folder} declares no ${interfaceName}`);
  const options = optionsIn(declaration, { prefix: "", kind: undefined }, declarations);
  return new Map(options.map((option) => [keyOf(option.path, option.kind), option]));
}

function declarationsIn(folder: string): Map<string, Declaration> {
  const found = new Map<string, Declaration>();
  for (const name of globSync("**/*.ts", { cwd: folder }).sort()) {
    const text = readFileSync(join(folder, name), "utf8");
    const { program, comments } = parseSync(name, text);
    const file = { text, comments };
    for (const statement of program.body as unknown as readonly Node[]) {
      const node = ((statement["declaration"] as Node | null | undefined) ?? statement) as Node;
      if (node.type !== "TSInterfaceDeclaration" && node.type !== "TSTypeAliasDeclaration") continue;
      found.set((node["id"] as unknown as { name: string }).name, { node, file });
    }
  }
  return found;
}

interface Place {
  readonly prefix: string;
  readonly kind: string | undefined;
}

/** Returns the members of an interface, a type literal, or a union of them, with those inside. */
function optionsIn(
  { node, file }: Declaration,
  place: Place,
  declarations: ReadonlyMap<string, Declaration>,
): DeclaredOption[] {
  const all = (nodes: readonly Node[], at = place): DeclaredOption[] =>
    nodes.flatMap((each) => optionsIn({ node: each, file }, at, declarations));
  const child = (name: string): Node => node[name] as Node;
  const children = (name: string): readonly Node[] => (node[name] ?? []) as readonly Node[];
  switch (node.type) {
    case "TSInterfaceDeclaration":
      return all([...children("extends"), child("body")]);
    case "TSInterfaceBody":
    case "TSTypeLiteral": {
      const members = children(node.type === "TSTypeLiteral" ? "members" : "body");
      const kind = kindOf(members);
      if (kind === undefined) return all(members);
      const others = members.filter((member) => nameOf(member) !== "type");
      return all(others, { ...place, kind });
    }
    case "TSPropertySignature":
      return [
        optionOf(node, file, place),
        ...all([typeOf(node)], { ...place, prefix: `${pathOf(node, place)}.` }),
      ];
    case "TSUnionType":
      return all(children("types"));
    case "TSIntersectionType": {
      const kinds = children("types").flatMap((part) =>
        part.type === "TSTypeLiteral" ? (kindOf((part["members"] ?? []) as readonly Node[]) ?? []) : [],
      );
      return all(children("types"), { ...place, kind: kinds[0] ?? place.kind });
    }
    case "TSTypeAliasDeclaration":
    case "TSTypeOperator":
    case "TSParenthesizedType":
      return all([child("typeAnnotation")]);
    case "TSArrayType":
      return all([child("elementType")]);
    case "TSInterfaceHeritage":
    case "TSTypeReference": {
      const name = String((child("typeName") ?? child("expression"))["name"]);
      const given = ((child("typeArguments")?.["params"] ?? []) as readonly Node[]).slice(
        name === "Record" ? 1 : 0,
      );
      const prefix = name === "Record" ? `${place.prefix}<name>.` : place.prefix;
      const declaration = declarations.get(name);
      return declaration === undefined
        ? all(given, { ...place, prefix })
        : optionsIn(declaration, place, declarations);
    }
    default:
      return [];
  }
}

function optionOf(member: Node, file: SourceFile, place: Place): DeclaredOption {
  const { start, end } = typeOf(member);
  return {
    path: pathOf(member, place),
    type: file.text.slice(start, end).replaceAll(/\s+/g, " "),
    isRequired: member["optional"] !== true,
    doc: docBefore(member, file),
    kind: place.kind,
  };
}

function pathOf(member: Node, { prefix }: Place): string {
  return `${prefix}${nameOf(member)}`;
}

function typeOf(member: Node): Node {
  return (member["typeAnnotation"] as Node)["typeAnnotation"] as Node;
}

function nameOf(member: Node): string {
  const key = member["key"] as Node | undefined;
  return String(key?.["name"] ?? key?.["value"] ?? "");
}

/**
 * Returns the literal of the member `type`, which tells the parts of a discriminated union apart.
 */
function kindOf(members: readonly Node[]): string | undefined {
  const member = members.find((each) => nameOf(each) === "type");
  if (member === undefined) return undefined;
  const value = (typeOf(member)["literal"] as Node | undefined)?.["value"];
  return typeof value === "string" ? value : undefined;
}

/** Returns the docstring that ends where the node starts. */
function docBefore(node: Node, { text, comments }: SourceFile): string {
  const comment = comments.find(
    ({ end, start }) => end <= node.start && start < node.start && text.slice(end, node.start).trim() === "",
  );
  if (comment === undefined || !comment.value.startsWith("*")) return "";
  return comment.value
    .split("\n")
    .map((line) => line.replace(/^\s*\*+ ?/, "").trim())
    .join(" ")
    .replaceAll("*\\/", "*/")
    .trim();
}
