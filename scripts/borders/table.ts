import { COMPUTED, ROOMS } from "./rooms.ts";

const BEGIN = "<!-- made from scripts/borders/rooms.ts by `npm run borders:update` -->\n";
const END = "<!-- end -->";

/** Returns a page with the current table of the rooms. */
export function withTable(page: string): string {
  const [before, rest] = split(page, BEGIN);
  const [, after] = split(rest, END);
  return `${before}${BEGIN}\n${table()}\n${END}${after}`;
}

function split(page: string, mark: string): [string, string] {
  const at = page.indexOf(mark);
  if (at === -1) throw new Error(`docs/architecture.md has lost its mark ${mark.trim()}`);
  return [page.slice(0, at), page.slice(at + mark.length)];
}

function table(): string {
  const rows = Object.entries(ROOMS).map(([name, { holds, imports, types = [], packages }]) => [
    name === "." ? "" : `\`${name}\``,
    holds,
    imports === "all" ? "all" : [...imports, ...types.map((type) => `${type} (types)`)].map(short).join(", "),
    packages[0] === "*" ? "all" : packages.map(code).join(", "),
  ]);
  const head = [
    ["folder", "what is in it", "may import", "packages"],
    ["---", "---", "---", "---"],
  ];
  return [...head, ...rows].map((cells) => `| ${cells.join(" | ")} |\n`).join("");
}

function short(name: string): string {
  return name.replace(/^shared\//, "");
}

/** Puts a name into backticks, because a star outside of code would begin an emphasis. */
function code(name: string): string {
  return name === COMPUTED ? name : `\`${name}\``;
}
