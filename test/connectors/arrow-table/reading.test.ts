import { globSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  Data,
  Dictionary,
  Field,
  Int8,
  LargeUtf8,
  RecordBatch,
  Schema,
  Struct,
  Uint32,
  Uint64,
  Utf8,
  vectorFromArray,
} from "apache-arrow";
import { describe, expect, it } from "vitest";
import { recordBatchOf } from "../../../shared/arrow/record-batches.ts";
import { ArrowTable } from "../../../shared/connectors/arrow-table/index.ts";
import { ArrowTableReader } from "../../../shared/connectors/arrow-table/reader.ts";
import { ArrowTableWriter } from "../../../shared/connectors/arrow-table/writer.ts";
import { filesOf } from "../../../shared/connectors/kit/staging.ts";
import { DataSourceReader } from "../../../shared/contract/batch-reader.ts";
import { DataSource } from "../../../shared/contract/data-source.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import { pipeline } from "../../../shared/contract/pipeline.ts";
import { checkSource, runPipeline } from "../../../shared/testing/index.ts";
import { EngineWorld } from "../../support/engine.ts";
import { temporaryFolder } from "../../support/folder.ts";
import { withStores } from "../../support/runtime.ts";
import { stagedFiles } from "../../support/table.ts";
import { Desk } from "./table-desk.ts";

describe("an Arrow table that is read", () => {
  it("A reader of an Arrow table has the schema and rows of its newest version, one partition per data file", async () => {
    const folder = temporaryFolder();
    class Numbers extends DataSource {
      override schema() {
        return "`n n` int NOT NULL, at timestamp";
      }
      override reader() {
        return new (class extends DataSourceReader<number> {
          override partitions() {
            return [1, 2];
          }
          override *read(n: number) {
            yield [n, "2026-11-21T00:00:00.000001Z"];
          }
        })();
      }
    }
    const options = { path: folder };
    const write = pipeline("write").read.format(Numbers).write.format(ArrowTable).options(options);
    await runPipeline(write.mode("append"));
    await runPipeline(write.mode("overwrite"));
    const copy = pipeline("copy")
      .read.format(ArrowTable)
      .options(options)
      .write.format(ArrowTable)
      .mode("append");
    const { rows, batches } = await runPipeline(copy);
    expect(rows).toEqual([1, 2].map((n) => ({ "n n": n, at: "2026-11-21T00:00:00.000001Z" })));
    expect(batches[0]?.partitions).toBe(1);
    await checkSource(ArrowTable, { options });
  });

  it("The error names an Arrow table that does not exist, or says that no folder was given", async () => {
    const copy = (path?: string) =>
      runPipeline(
        pipeline("copy")
          .read.format(ArrowTable)
          .options(path === undefined ? {} : { path })
          .write.format(ArrowTable),
      );
    await expect(copy(temporaryFolder())).rejects.toMatchObject({ code: "TABLE_NOT_FOUND" });
    await expect(copy()).rejects.toMatchObject({ code: "OPTIONS_INVALID" });
  });

  const OWN_TYPES = new Schema([
    new Field("u", new Uint32(), false),
    new Field("d", new Dictionary(new Utf8(), new Int8()), true, new Map([["ARROW:extension:name", "word"]])),
    new Field("s", new Struct({} as never), true),
    new Field("", new LargeUtf8(), true),
    new Field("d.x", new Int8(), true),
  ]);
  Object.assign(OWN_TYPES.fields[2]?.type as Struct, { children: [new Field("x", new Uint64(), false)] });

  class OwnTypes extends DataSource {
    override schema() {
      return OWN_TYPES;
    }
    override reader() {
      return new (class extends DataSourceReader {
        override *read() {
          const child = vectorFromArray([2n ** 64n - 1n, 0n], new Uint64()).data[0] as Data;
          const columns: Data[] = [
            vectorFromArray([4294967295, 0], new Uint32()).data[0] as Data,
            vectorFromArray(["a", null], OWN_TYPES.fields[1]?.type as Dictionary).data[0] as Data,
            new Data(OWN_TYPES.fields[2]?.type as Struct, 0, 2, 0, undefined, [child]),
            vectorFromArray([null, "large"], new LargeUtf8()).data[0] as Data,
            vectorFromArray([1, 2], new Int8()).data[0] as Data,
          ];
          const rows = new Data(new Struct(OWN_TYPES.fields), 0, 2, 0, undefined, columns);
          yield new RecordBatch(OWN_TYPES, rows as never);
        }
      })();
    }
  }
  const OWN_ROWS = [
    { u: 4294967295, d: "a", s: { x: "18446744073709551615" }, "": null, "d.x": 1 },
    { u: 0, d: null, s: { x: 0 }, "": "large", "d.x": 2 },
  ];
  const copyOf = async (path: string) => {
    const copy = pipeline("copy").read.format(ArrowTable).options({ path });
    return await runPipeline(
      copy.write.format(ArrowTable).options({ path: temporaryFolder() }).mode("append"),
    );
  };
  const writeOwnTypes = async () => {
    const path = temporaryFolder();
    const write = pipeline("write").read.format(OwnTypes).write.format(ArrowTable).options({ path });
    await runPipeline(write.mode("append"));
    return path;
  };
  const entryOf = (path: string) => join(path, "_log", `${"0".repeat(20)}.json`);

  it("A table of types beyond the DDL is read with its own types, names, nulls and metadata", async () => {
    const path = await writeOwnTypes();
    expect((await copyOf(path)).rows).toEqual(OWN_ROWS);
    const { schema } = await openTable(path);
    expect(schema.fields.map(({ name, nullable, type }) => [name, nullable, String(type)])).toEqual(
      OWN_TYPES.fields.map(({ name, nullable, type }) => [name, nullable, String(type)]),
    );
    expect(schema.fields[1]?.metadata.get("ARROW:extension:name")).toBe("word");
    expect((schema.fields[2] as Field<Struct>).type.children[0]?.nullable).toBe(false);
  });

  async function openTable(path: string) {
    const table = new ArrowTable({ path }, withStores(new EngineWorld().ports().runtime));
    return { schema: await table.schema() };
  }

  it("A table whose log was written by an older version has its types in a data file", async () => {
    const path = await writeOwnTypes();
    const { arrowSchema, ...older } = JSON.parse(readFileSync(entryOf(path), "utf8")) as Record<
      string,
      unknown
    >;
    expect(arrowSchema).toBeTypeOf("string");
    writeFileSync(entryOf(path), JSON.stringify(older));
    expect((await copyOf(path)).rows).toEqual(OWN_ROWS);
  });

  it("The log has the Arrow schema only for types that the DDL does not say", async () => {
    const desk = new Desk();
    await desk.commit([await desk.stage([1])]);
    expect(readFileSync(entryOf(desk.path), "utf8")).not.toContain("arrowSchema");
  });

  const DAMAGES: readonly [string, (bytes: Buffer) => Uint8Array, RegExp][] = [
    ["was emptied", () => new Uint8Array(), /it has 0 bytes, and \d+ were written/],
    [
      "has grown",
      (bytes) => Buffer.concat([bytes, bytes]),
      /it has more than the \d+ bytes that were written/,
    ],
    ["has other bytes of the same size", (bytes) => bytes.fill(7), /is damaged: ./],
  ];
  it.each(DAMAGES)("A data file that %s is an error with its name", async (_what, change, message) => {
    const path = await writeOwnTypes();
    const [file = ""] = globSync("data/**/*.arrow", { cwd: path });
    writeFileSync(join(path, file), change(readFileSync(join(path, file))));
    await expect(copyOf(path)).rejects.toMatchObject({
      code: "TABLE_FILE_DAMAGED",
      message: expect.stringMatching(message),
      where: { path: join(path, file) },
    });
  });

  it("A data file whose rows are not as many as the log says is an error", async () => {
    const path = await writeOwnTypes();
    const text = readFileSync(entryOf(path), "utf8");
    writeFileSync(entryOf(path), text.replace('"rows":2', '"rows":3'));
    await expect(copyOf(path)).rejects.toMatchObject({
      code: "TABLE_FILE_DAMAGED",
      message: expect.stringContaining("it has 2 rows, and 3 were written"),
    });
  });

  it("A partition that an older version recorded, as a list of paths, is read", async () => {
    const path = await writeOwnTypes();
    const [file = ""] = globSync("data/**/*.arrow", { cwd: path });
    const table = new ArrowTable({ path }, withStores(new EngineWorld().ports().runtime));
    const batches = await Array.fromAsync(
      (table.reader(OWN_TYPES) as ArrowTableReader).read([file.replaceAll("\\", "/")]),
    );
    expect(batches.map((batch) => batch.numRows)).toEqual([2]);
  });

  it("A partition has at most a thousand data files, with the rows and bytes of each", async () => {
    const desk = new Desk();
    const files = Array.from({ length: 1001 }, (_, i) => ({ path: `data/${i}.arrow`, rows: 1, bytes: 10 }));
    await desk.commit([{ table: null, files }]);
    const slices = await new ArrowTableReader(desk.table, parseDdl("id bigint")).partitions();
    expect(slices).toEqual([{ files: files.slice(0, 1000) }, { files: files.slice(1000) }]);
  });

  it("A task of more rows than a data file takes has several, which are read in the order of its rows", async () => {
    const desk = new Desk();
    const schema = parseDdl("id bigint");
    const writer = new ArrowTableWriter(
      { schema, operation: "append", fileBytes: 2000 },
      desk.world.ports().runtime,
    );
    async function* rows() {
      for (let id = 0; id < 20; id++) yield recordBatchOf(schema, [[id]]);
    }
    const staged = await writer.write(rows(), desk.task());
    expect(filesOf(staged)).toHaveLength(2);
    expect(await writer.findDamaged([staged], desk.context())).toEqual([]);
    await desk.commit([staged]);
    expect(await desk.ids()).toEqual(Array.from({ length: 20 }, (_, id) => id));
    const [, second] = filesOf(staged);
    await desk.table.delete([second?.path ?? ""]);
    expect(await writer.findDamaged([null, staged], desk.context())).toMatchObject([{ partition: 1 }]);
    await expect(desk.ids()).rejects.toMatchObject({
      code: "TABLE_FILE_MISSING",
      message: expect.stringContaining(second?.path ?? "no file"),
    });
    await writer.abortTask(staged, desk.task());
    expect(stagedFiles(desk.path)).toEqual([]);
  });

  it("A data file that is damaged is an error with its name", async () => {
    const path = await writeOwnTypes();
    const [file = ""] = globSync("data/**/*.arrow", { cwd: path });
    truncateSync(join(path, file), 100);
    await expect(copyOf(path)).rejects.toMatchObject({
      code: "TABLE_FILE_DAMAGED",
      message: expect.stringContaining(file),
      where: { path: join(path, file) },
    });
  });

  it("A schema with a column twice is an error before anything is read", async () => {
    class Twice extends OwnTypes {
      override schema() {
        return new Schema([new Field("a", new Int8(), true), new Field("a", new Utf8(), true)]);
      }
    }
    const write = pipeline("twice").read.format(Twice).write.format(ArrowTable).mode("append");
    await expect(runPipeline(write)).rejects.toMatchObject({ code: "COLUMN_DUPLICATE" });
  });
});
