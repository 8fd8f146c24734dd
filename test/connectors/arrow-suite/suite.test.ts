import { existsSync, globSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { RecordBatch, Schema } from "apache-arrow";
import { afterAll, describe, expect, it } from "vitest";
import { openIpc } from "../../../shared/arrow/ipc/read-ipc.ts";
import { ArrowTable } from "../../../shared/connectors/arrow-table/index.ts";
import { readTable } from "../../../shared/connectors/arrow-table/read.ts";
import { Files } from "../../../shared/connectors/files/index.ts";
import { MillraceError } from "../../../shared/contract/errors.ts";
import { pipeline } from "../../../shared/contract/pipeline.ts";
import { DirectoryStore } from "../../../shared/platform/embedded/directory-store.ts";
import { runPipeline } from "../../../shared/testing/index.ts";
import { temporaryFolder } from "../../support/folder.ts";
import { ROOT } from "../../support/root.ts";
import { expectedColumns } from "./expected.ts";
import { columnsOf } from "./values.ts";

/**
 * Reads the files of Apache Arrow's own test suite, each with its values in JSON, through the
 * source `files` into an Arrow table, and copies that table. A file must have the same values at
 * each place, or be refused with one of these codes. It is read with its own types, and with those
 * that `files` chooses for it: microseconds, which do not reach as far as the suite's seconds.
 */
const REFUSALS: readonly string[] = ["TYPE_NOT_SUPPORTED", "COLUMN_DUPLICATE"];
const REFUSALS_OF_CHOSEN: readonly string[] = [...REFUSALS, "ROW_MISMATCH"];

const SUITE = join(ROOT, "../shared/testdata/arrow-testing");
const isThere = existsSync(SUITE);
if (!isThere) console.warn("../shared/testdata/arrow-testing is not there: its files are not read.");

const FILES = globSync("*/generated_*.{arrow_file,stream}", { cwd: SUITE }).sort();
const results: { readonly folder: string; readonly types: string; readonly result: string }[] = [];

/** Copies a file to an Arrow table, and that to another. Returns the record batches of both. */
async function throughTables(path: string, schema: Schema | undefined): Promise<RecordBatch[][]> {
  const [first, second] = [temporaryFolder(), temporaryFolder()];
  const name = basename(path);
  const files = pipeline("suite")
    .read.format(Files)
    .options({ path: dirname(path), pattern: name, format: "arrow", settleSeconds: 0 });
  const source = schema === undefined ? files : files.schema(schema);
  await runPipeline(source.write.format(ArrowTable).options({ path: first }).mode("append"));
  const copy = pipeline("copy").read.format(ArrowTable).options({ path: first });
  await runPipeline(copy.write.format(ArrowTable).options({ path: second }).mode("append"));
  return await Promise.all(
    [first, second].map((table) => Array.fromAsync(readTable(new DirectoryStore(table)))),
  );
}

async function open(path: string) {
  const bytes = readFileSync(path);
  return await openIpc({ size: bytes.length, range: async (start, end) => bytes.subarray(start, end) });
}

async function resultOf(path: string, withFileSchema: boolean): Promise<string> {
  const expected = expectedColumns(path.replace(/\.(arrow_file|stream)$/, ".json.gz"));
  try {
    const schema = withFileSchema ? (await open(path)).schema : undefined;
    for (const batches of await throughTables(path, schema)) {
      const isEmpty = expected.every((values) => values.length === 0);
      expect(isEmpty ? expected : columnsOf(batches)).toEqual(expected);
    }
    return "same values";
  } catch (error) {
    if (!MillraceError.is(error)) throw error;
    return error.code;
  }
}

describe.skipIf(!isThere)("Apache Arrow's own test suite", () => {
  afterAll(() => {
    const counts = new Map<string, number>();
    for (const { folder, types, result } of results) {
      const key = `${folder.padEnd(20)}  ${types.padEnd(12)}  ${result}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    const lines = [...counts].sort().map(([key, count]) => `  ${String(count).padStart(4)}  ${key}`);
    const different = results.filter(({ result }) => result === "different");
    console.log(
      [
        "",
        `Apache Arrow's test suite: ${results.length} readings`,
        ...lines,
        `  different: ${different.length}`,
      ].join("\n"),
    );
  });

  it.each(FILES)(
    "The values of %s are the same in an Arrow table and its copy, or it is refused",
    async (file) => {
      for (const types of ["own types", "chosen types"]) {
        const entry = { folder: dirname(file), types, result: "different" };
        results.push(entry);
        const result = await resultOf(join(SUITE, file), types === "own types");
        Object.assign(entry, { result });
        const refusals = types === "own types" ? REFUSALS : REFUSALS_OF_CHOSEN;
        if (result !== "same values") expect(refusals, `${types} of ${file}`).toContain(result);
      }
    },
  );
});
