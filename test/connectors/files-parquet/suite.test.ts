import { existsSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { typeName } from "../../../shared/contract/ddl/print.ts";
import { MillraceError } from "../../../shared/contract/errors.ts";
import { hasPython, runPython } from "../../support/python.ts";
import { ROOT } from "../../support/root.ts";
import { type Exact, exactRows, type PythonFile, READ_WITH_PYARROW, schemaOf } from "./exact-values.ts";
import { batchesOf, parquetSource } from "./source.ts";

/** The files of apache/parquet-testing. */
const SUITE = join(ROOT, "../shared/testdata/parquet-testing");
const isThere = existsSync(SUITE);
if (!isThere) console.warn("../shared/testdata/parquet-testing is not there: its files are not read.");

/** Files that are damaged on purpose, which pyarrow reads because it checks no checksums. */
const DAMAGED = [
  "data/datapage_v1-corrupt-checksum.parquet",
  "data/rle-dict-uncompressed-corrupt-checksum.parquet",
];
/** Files with a value that no column of rows can hold. pyarrow returns another value for it. */
const OUT_OF_RANGE = ["data/int96_from_spark.parquet"];

const NOT_SUPPORTED = ["FILE_FEATURE_NOT_SUPPORTED", "TYPE_NOT_SUPPORTED"];

interface Result {
  readonly name: string;
  readonly outcome: "same" | "refused" | "different" | "pyarrow refuses";
  readonly detail: string;
  readonly error?: unknown;
}

async function compare({ name, error: refusal, fields, rows: expected }: PythonFile): Promise<Result> {
  const options = { path: join(SUITE, dirname(name)), pattern: basename(name) };
  const rows: Exact[][] = [];
  try {
    const own = await (await parquetSource(options)).schema();
    const schema = fields === undefined ? own : schemaOf(fields);
    const types = [own, schema].map((one) =>
      one.fields.map((field) => `${field.name} ${typeName(field.type)}`),
    );
    if (String(types[0]) !== String(types[1]))
      return { name, outcome: "different", detail: `the types ${types[0]} and ${types[1]}` };
    for await (const batch of batchesOf(options, schema)) rows.push(...exactRows(batch));
  } catch (error) {
    const { code, message } = error as MillraceError;
    return { name, outcome: "refused", detail: `${code}: ${message}`, error };
  }
  if (refusal !== undefined) return { name, outcome: "pyarrow refuses", detail: refusal };
  const row = rows.findIndex((one, i) => JSON.stringify(one) !== JSON.stringify(expected?.[i]));
  if (row < 0 && rows.length === expected?.length)
    return { name, outcome: "same", detail: `${rows.length} rows` };
  const detail = `row ${row}: ${JSON.stringify(rows[row])} and ${JSON.stringify(expected?.[row])}`;
  return { name, outcome: "different", detail };
}

describe.skipIf(!isThere || !hasPython)("the files of apache/parquet-testing", () => {
  const results: Result[] = [];

  beforeAll(async () => {
    for (const file of runPython<PythonFile[]>(READ_WITH_PYARROW, [SUITE])) results.push(await compare(file));
    console.log(table(results));
  });

  it("The suite of parquet-testing is there as a whole", () => {
    expect(results.filter(({ name }) => name.startsWith("data/")).length).toBeGreaterThan(50);
    expect(results.filter(({ name }) => name.startsWith("bad_data/")).length).toBeGreaterThan(7);
  });

  it("No file of parquet-testing has other values, or other types, than pyarrow reads from it", () => {
    expect(results.filter(({ outcome }) => outcome === "different")).toEqual([]);
  });

  it("A file of parquet-testing that pyarrow reads is read, or its error names what is not supported", () => {
    const refused = results.filter(({ name, outcome }) => outcome === "refused" && name.startsWith("data/"));
    for (const { name, error } of refused) {
      expect(MillraceError.is(error)).toBe(true);
      const { code, message, where, cause } = error as MillraceError;
      expect(where.path).toBe(join(SUITE, name));
      expect(cause).not.toBeInstanceOf(TypeError);
      if (DAMAGED.includes(name)) {
        expect(code).toBe("FILE_MALFORMED");
        expect(message).toMatch(/column ".*", row group 1, page 1: its checksum/);
      } else if (OUT_OF_RANGE.includes(name)) {
        expect([code, where.row, where.field]).toEqual(["ROW_MISMATCH", 6, "a"]);
      } else {
        expect([name, code]).toEqual([name, expect.toBeOneOf(NOT_SUPPORTED)]);
      }
    }
    expect(refused.map(({ name }) => name)).toEqual(expect.arrayContaining(DAMAGED));
  });

  it("A damaged file of parquet-testing is refused with its name, unless pyarrow reads it too", () => {
    for (const { name, outcome, error } of results.filter(({ name }) => name.startsWith("bad_data/"))) {
      if (outcome === "same") continue;
      const { code, message, where, cause } = error as MillraceError;
      expect([name, code, where.path]).toEqual([name, "FILE_MALFORMED", join(SUITE, name)]);
      expect(message).toMatch(/cannot be read as parquet: .+/);
      expect(cause).not.toBeInstanceOf(TypeError);
    }
  });
});

function table(results: readonly Result[]): string {
  const count = (outcome: Result["outcome"], code = "") =>
    results.filter((one) => one.outcome === outcome && one.detail.startsWith(code)).length;
  const codes = results
    .filter(({ outcome }) => outcome === "refused")
    .map(({ detail }) => detail.slice(0, detail.indexOf(":")));
  const lines = [
    ["files", results.length],
    ["same values", count("same")],
    ...[...new Set(codes)].sort().map((code) => [`refused, ${code}`, count("refused", code)] as const),
    ["read, and pyarrow refuses", count("pyarrow refuses")],
    ["different", count("different")],
  ] as const;
  const others = results.filter(({ outcome }) => outcome !== "same");
  return [
    "apache/parquet-testing",
    ...lines.map(([what, number]) => `  ${what.padEnd(40)} ${String(number).padStart(3)}`),
    ...others.map(({ name, outcome, detail }) => `    ${name}: ${outcome}: ${detail.replaceAll(SUITE, "")}`),
  ].join("\n");
}
