import { mkdirSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { recordBatchOf } from "../../shared/arrow/record-batches.ts";
import { parseDdl } from "../../shared/contract/ddl/parse.ts";
import { temporaryFolder } from "../support/folder.ts";
import { PACKAGE } from "../support/package.ts";
import { filesBelow, killTree, millrace, startMillrace } from "../support/process.ts";
import { hasPython } from "../support/python.ts";
import { sqliteCatalog } from "./support/catalog-address.ts";
import { PythonReaders } from "./support/readers.ts";

const PIPELINE = join(PACKAGE, "test/iceberg/pipelines/files.ts");
const ROWS = 20;
/** Rows that pyiceberg appends have negative ids. */
const FOREIGN = parseDdl("id bigint, word string");

/** Moves a complete file into the folder, like the command `mv`. */
function put(folder: string, number: number): void {
  const lines = Array.from({ length: ROWS }, (_, i) => `{"id":${number * ROWS + i},"word":"number ${i}"}\n`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `.${number}.part`), lines.join(""));
  renameSync(join(folder, `.${number}.part`), join(folder, `${number}.jsonl`));
}

describe.skipIf(!hasPython)("kill -9 while an Iceberg table is written", () => {
  let python: PythonReaders;
  beforeAll(() => {
    python = new PythonReaders();
  });
  afterAll(() => python.stop());

  it("A run that is killed at random moments, beside another writer, loses and doubles no row", async () => {
    const [home, path] = [temporaryFolder(), temporaryFolder()];
    const warehouse = join(home, "warehouse");
    const catalog = sqliteCatalog(warehouse);
    const args = ["run", PIPELINE, "--home", home];
    const env = { FILES_PATH: path };
    let files = 0;
    put(path, files++);
    const first = await millrace(args, env);
    expect(first.code, first.stderr).toBe(0);
    for (let kill = 0; kill < 8; kill++) {
      for (let i = 0; i < 6; i++) put(path, files++);
      const running = startMillrace(args, env);
      await setTimeout(300 + Math.random() * 900);
      await python.append(catalog, "demo.lines", [recordBatchOf(FOREIGN, [[-1 - kill, "other"]])]);
      killTree(running.process);
      await running.ended;
    }
    const last = await millrace(args, env);
    expect(last.code, last.stderr).toBe(0);

    const rows = await python.read(catalog, "demo.lines");
    const ids = rows.map(({ id }) => Number(id)).sort((a, b) => a - b);
    expect(ids).toEqual(Array.from({ length: files * ROWS + 8 }, (_, i) => i - 8));
    const { snapshots } = await python.describe(catalog, "demo.lines");
    const batches = snapshots.flatMap(({ summary }) => summary["millrace.batch-id"] ?? []).map(Number);
    expect(batches.sort((a, b) => a - b)).toEqual(Array.from({ length: batches.length }, (_, i) => i));
    expect(snapshots).toHaveLength(batches.length + 8);

    expect((await millrace(["vacuum", "--older-than", "0s", "--home", home], env)).code).toBe(0);
    const named = (await python.files(catalog, "demo.lines")).map((file) =>
      file.path.slice("file://".length),
    );
    const data = join(warehouse, "demo/lines/data");
    expect(filesBelow(data).map((file) => join(data, file))).toEqual(named.sort());
    expect(readdirSync(join(warehouse, "demo/lines"))).toEqual(["data", "metadata"]);
    // A run after the vacuum finds no new data, so the vacuum has not removed needed records.
    expect((await millrace([...args, "--json"], env)).stdout).toContain('"batches":0');
  });
});
