import { parseJson as parseExactly } from "../../kit/json-parser.ts";

/**
 * Parses JSON of Iceberg: metadata files, and requests and answers of catalogs. Snapshot ids have
 * 64 bits, so integers beyond 2^53 become bigint, and a number with another text than JavaScript's,
 * such as `1.10`, becomes a `JsonNumber`. Throws `JsonFault`, also for a name that an object has
 * twice.
 */
export function parseJson(text: string): unknown {
  return parseExactly(text);
}

/** Returns JSON text of a value in which a `bigint` stands for a number of 64 bits. */
export function stringifyJson(value: unknown, indent?: number): string {
  return JSON.stringify(
    value,
    (_key, item: unknown) => (typeof item === "bigint" ? rawNumber(item) : item),
    indent,
  );
}

function rawNumber(value: bigint): unknown {
  return (JSON as unknown as { readonly rawJSON: (text: string) => unknown }).rawJSON(String(value));
}
