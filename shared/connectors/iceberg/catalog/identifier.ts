import { MillraceError } from "../../../contract/errors.ts";
import type { TableIdentifier } from "./catalog.ts";

/** A part of a name and the dot before it. A part in double quotes may contain dots. */
const PART = /(?:^|\.)(?:"((?:[^"]|"")+)"|([^".]+))/gy;

/**
 * Parses `namespace.table`. The namespace may have several levels, and a part that contains a dot
 * or a quote is in double quotes: `lake."a.b".orders`. Error: `TABLE_NAME_INVALID`.
 */
export function parseTableName(text: string): TableIdentifier {
  const parts: string[] = [];
  let end = 0;
  for (const match of text.matchAll(PART)) {
    parts.push(match[1]?.replaceAll('""', '"') ?? match[2] ?? "");
    end = match.index + match[0].length;
  }
  const name = parts.at(-1);
  const isWhole = end === text.length && parts.every(isName);
  if (!isWhole || name === undefined || parts.length < 2)
    throw nameInvalid(
      text,
      "it must be a namespace and a name, such as demo.orders, without blanks at the ends of a part",
    );
  return { namespace: parts.slice(0, -1), name };
}

function isName(part: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what no name may have.
  return part.trim() === part && !/[\u0000-\u001f\u007f]/.test(part);
}

/** Prints an identifier so that `parseTableName` reads it. */
export function tableNameOf({ namespace, name }: TableIdentifier): string {
  return [...namespace, name]
    .map((part) => (/[".]/.test(part) ? `"${part.replaceAll('"', '""')}"` : part))
    .join(".");
}

export function nameInvalid(name: string, why: string): MillraceError {
  return new MillraceError("TABLE_NAME_INVALID", `${JSON.stringify(name)} cannot name the table: ${why}`, {
    hint: 'Correct the option table: "namespace.table". A part with a dot is in quotes: `demo."a.b"`.',
  });
}
