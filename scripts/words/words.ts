import {
  type Argument,
  type CallExpression,
  type Comment,
  type Expression,
  parseSync,
  Visitor,
} from "oxc-parser";

/** Pages of Markdown whose lines are wrapped. Each pattern must match at least one file. */
export const PAGES: readonly string[] = [
  ...["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "scripts/README.md", "test/*/README.md"],
  ...[
    "docs/architecture.md",
    "docs/protocol.md",
    "docs/restore.md",
    "docs/spark-differences.md",
    "docs/adr/*.md",
  ],
];

/** Maximum number of columns in a line of a comment or a page. Biome allows 110 for code. */
const COLUMNS = 100;

/** Phrases that need a second reading, each with what to write instead. */
const PHRASES: readonly (readonly [pattern: RegExp, instead: string])[] = [
  [/^Gives (?!up\b|way\b)/, 'write "returns"'],
  [/^Nothing,? (?:if|when|where)\b/, 'write "`undefined` if"'],
  [/\bwhere (?:nothing|none|there (?:is|are) (?:none|no|nothing))\b/i, 'write "if"'],
  [/\b(?:that|which) (?:is|are) none\b(?! of)/, "say what the thing is instead of what it is not"],
  [/\b(?:somebody|whoever)\b/i, "name who does it"],
  [/\bheed(?:s|ed|ing)?\b/i, 'write "reacts to" or "obeys"'],
  [/(?:^|[.;] )Else,? (?!if\b)/, 'write "otherwise"'],
  [/(?:^|\. )What (?:is|was|are|were) [^?]*$/, "begin with a noun"],
  [/\bas \w+ (?:has|have) it\b/, 'write "as in …"'],
  [/\bof (?:one's own|a make of its own)\b/, 'write "its own" or "your own"'],
  [/\bbut (?:for )?what (?:is|was|has|are)\b/, 'write "except"'],
  [/\bas would\b/, "split the sentence"],
];

/** Folders whose comments are checked for these phrases. */
const CHECKED = /^(?:shared|local|functions|infra|cli|bin|scripts|test|bench|examples)\//;

/** Lines that may be longer: directives of tools, licences, and a line that is only a URL. */
const EXCUSED = /biome-ignore|SPDX-|Copyright|Licensed under|^\W*\S*:\/\/\S*$/;

/** Checks a file of code. Returns `file:line: reason` for each bad comment and name of a test. */
export function problemsOfCode(path: string, source: string): string[] {
  const { program, comments, errors } = parseSync(path, source);
  if (errors[0]) throw new Error(`${path} cannot be parsed: ${errors[0].message}`);
  const lineOf = (offset: number) => source.slice(0, offset).split("\n").length;
  const problems = comments.flatMap((comment) => problemsOfComment(path, source, comment, lineOf));
  if (!path.startsWith("test/")) return problems;
  new Visitor({
    CallExpression: (call) => {
      const name = nameOfTest(call);
      const reason = name === undefined ? undefined : reasonAgainst(name);
      if (reason !== undefined) problems.push(`${path}:${lineOf(call.start)}: the test "${name}" ${reason}`);
    },
  }).visit(program);
  return problems;
}

function problemsOfComment(
  path: string,
  source: string,
  { start, end, value }: Comment,
  lineOf: (offset: number) => number,
): string[] {
  const first = lineOf(start);
  const lines = source.split("\n").slice(first - 1, lineOf(end));
  const problems = lines.flatMap((line, n) => {
    const length = columns(line);
    if (length <= COLUMNS || EXCUSED.test(line)) return [];
    return [`${path}:${first + n}: a comment of ${length} columns, more than ${COLUMNS}`];
  });
  if (!CHECKED.test(path)) return problems;
  for (const sentence of paragraphs(value)) {
    for (const [pattern, instead] of PHRASES) {
      const found = pattern.exec(sentence);
      if (found)
        problems.push(`${path}:${first}: "${found[0].trim().slice(0, 40)}" in a comment: ${instead}`);
    }
  }
  return problems;
}

/** Returns the text of a comment without its stars, one string for each paragraph or list item. */
function paragraphs(comment: string): string[] {
  const lines = comment.split("\n").map((line) => line.replace(/^\s*\*+/, "").trim());
  return lines
    .map((line) => (line === "" || /^[-@]/.test(line) ? `\n${line}` : line))
    .join(" ")
    .split("\n")
    .map((text) => text.replace(/^[-*\s]+/, "").trim());
}

const MODIFIERS = ["each", "for", "only", "skip", "skipIf", "runIf", "fails", "concurrent", "sequential"];

/**
 * Returns the name in `it(name, …)`, `it.each(…)(name, …)` and similar calls. `${…}` stands for an
 * expression in the name.
 */
function nameOfTest({ callee, arguments: [name, ...rest] }: CallExpression): string | undefined {
  return rest.length > 0 && isTest(callee) ? textOf(name) : undefined;
}

function isTest(callee: Expression): boolean {
  if (callee.type === "Identifier") return ["it", "test"].includes(callee.name);
  if (callee.type === "CallExpression")
    return callee.callee.type === "MemberExpression" && isTest(callee.callee);
  if (callee.type === "TaggedTemplateExpression") return isTest(callee.tag);
  if (callee.type !== "MemberExpression" || callee.property.type !== "Identifier") return false;
  return MODIFIERS.includes(callee.property.name) && isTest(callee.object);
}

function textOf(name: Argument | undefined): string | undefined {
  if (name?.type === "Literal" && typeof name.value === "string") return name.value;
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it stands for an expression
  if (name?.type === "TemplateLiteral") return name.quasis.map(({ value }) => value.raw).join("${…}");
  return undefined;
}

/** A word that is code, such as `readStream`, `read()` or `package.json`. */
const CODE = /^(?:`|[a-z]\S*(?:[A-Z_(/]|\.\w))/;

function reasonAgainst(name: string): string | undefined {
  if (name.trim().split(/\s+/).length < 4) return "is no sentence: it has fewer than four words";
  if (/^[a-z]/.test(name) && !CODE.test(name.split(" ")[0] ?? "")) return "begins with a lowercase letter";
  if (/[.,:;!?…]$/.test(name)) return "ends with punctuation";
  return undefined;
}

/**
 * Checks a page of Markdown. Returns `file:line: reason` for each line that is too long. Tables,
 * blocks of code and lines of a single word cannot be broken, and the URL of a link does not count.
 */
export function problemsOfPage(path: string, text: string): string[] {
  let isCode = false;
  return text.split("\n").flatMap((line, n) => {
    const isFence = /^\s*(?:```|~~~)/.test(line);
    if (isFence) isCode = !isCode;
    const length = columns(line.replace(/\]\(\S*\)/g, "]()"));
    if (isCode || isFence || length <= COLUMNS || line.trimStart().startsWith("|")) return [];
    const content = line.replace(/^\s*(?:(?:[-*>]|\d+\.|\[[^\]]+\]:)\s+)?/, "");
    if (/^\S+$/.test(content)) return [];
    return [`${path}:${n + 1}: ${length} columns, more than ${COLUMNS}`];
  });
}

/** Returns the number of characters in a line. It differs from the number of UTF-16 units. */
function columns(line: string): number {
  return [...line].length;
}
