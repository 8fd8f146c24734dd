import { appendFileSync, mkdirSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { rowsOf } from "../../../shared/arrow/rows.ts";
import { ArrowTable } from "../../../shared/connectors/arrow-table/index.ts";
import { Files, type FilesOptions } from "../../../shared/connectors/files/index.ts";
import type { DataSourceRuntime } from "../../../shared/contract/context.ts";
import { parseOptions } from "../../../shared/contract/options/parse.ts";
import { pipeline } from "../../../shared/contract/pipeline.ts";
import { ReadAllAvailable } from "../../../shared/contract/read-limit.ts";
import { DirectoryStore } from "../../../shared/platform/embedded/directory-store.ts";
import { MemoryStore, memoryObjects } from "../../../shared/platform/memory/memory-store.ts";
import { checkSource } from "../../../shared/testing/index.ts";
import { EngineWorld } from "../../support/engine.ts";
import { temporaryFolder } from "../../support/folder.ts";
import {
  failure,
  type Group,
  json,
  keysOf,
  MINUTE,
  type Offset,
  type Reader,
  SCHEMA,
  START,
  task,
} from "./folder-desk.ts";

describe("a local folder", () => {
  /**
   * Creates a folder on disk, and readers whose clock is a minute ahead of the times of the files.
   */
  async function local(options: Partial<FilesOptions> = {}) {
    const folder = temporaryFolder();
    const own = memoryObjects(Date.now);
    const put = (name: string, body: string) => {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), body);
    };
    const plan = async (start: Offset): Promise<[Offset, Group[]]> => {
      const runtime: DataSourceRuntime = {
        now: () => Date.now() + MINUTE,
        monotonic: () => Date.now() + MINUTE,
        random: () => 0.5,
        newId: () => crypto.randomUUID(),
        sleep: async () => undefined,
        env: {},
        store: new MemoryStore(own),
        openStore: (path) => new DirectoryStore(path),
      };
      const parsed = await parseOptions(Files, { path: folder, format: "csv", ...options });
      const reader = new Files(parsed, runtime).streamReader(SCHEMA) as unknown as Reader;
      const end = await reader.latestOffset(start, new ReadAllAvailable());
      return [end, end === start ? [] : [...(await reader.partitions(start, end))]];
    };
    return { folder, put, plan };
  }

  it("A local folder may get files moved in with times of long ago", async () => {
    const { folder, put, plan } = await local();
    put("a.csv", "id\n1\n");
    const [offset, first] = await plan(START);
    expect(keysOf(first)).toEqual(["a.csv"]);
    put("../moved.csv", "id\n2\n");
    utimesSync(join(folder, "../moved.csv"), 1000, 1000);
    renameSync(join(folder, "../moved.csv"), join(folder, "moved.csv"));
    put("before-1970.csv", "id\n3\n");
    utimesSync(join(folder, "before-1970.csv"), new Date(-1000), new Date(-1000));
    expect(keysOf((await plan(offset))[1])).toEqual(["before-1970.csv", "moved.csv"]);
  });

  it("A local folder notices a file that grows after it was read", async () => {
    const { folder, put, plan } = await local();
    put("a.csv", "id\n1\n");
    const [offset] = await plan(START);
    appendFileSync(join(folder, "a.csv"), "2\n");
    expect(await failure(plan(offset))).toMatchObject({
      code: "FILE_CHANGED",
      where: { path: join(folder, "a.csv") },
    });
  });

  it("A local folder notices a file of the same size and other content if its time differs", async () => {
    const { folder, put, plan } = await local();
    put("a.csv", "id\n1\n");
    utimesSync(join(folder, "a.csv"), 1000, 1000);
    const [offset] = await plan(START);
    put("a.csv", "id\n2\n");
    expect(await failure(plan(offset))).toMatchObject({ code: "FILE_CHANGED" });
    utimesSync(join(folder, "a.csv"), 1000, 1000);
    expect(keysOf((await plan(offset))[1])).toEqual([]);
  });

  it("A local folder that is missing is an error, or has no files by an option", async () => {
    const missing = await local();
    rmSync(missing.folder, { recursive: true });
    expect(await failure(missing.plan(START))).toMatchObject({
      code: "FOLDER_MISSING",
      where: { path: missing.folder },
      hint: expect.stringContaining(`\`mkdir -p '${missing.folder}'\``),
    });
    const { folder, put, plan } = await local({ ignoreMissingPath: true });
    rmSync(folder, { recursive: true });
    expect(await plan(START)).toEqual([START, []]);
    put("a.csv", "id\n");
    expect(keysOf((await plan(START))[1])).toEqual(["a.csv"]);
  });
});

describe("a batch of files", () => {
  it("A batch of files has all files of the folder, once", async () => {
    const world = new EngineWorld();
    const folder = temporaryFolder();
    for (let i = 0; i < 250; i++) writeFileSync(join(folder, `${i}.jsonl`), `{"id":"${i}"}\n`);
    const reader = new Files(await parseOptions(Files, { path: folder, format: "jsonl" }), {
      ...world.ports().runtime,
      store: new MemoryStore(memoryObjects(() => 0)),
      openStore: (path) => new DirectoryStore(path),
    }).reader(SCHEMA);
    const partitions = await reader.partitions();
    expect(partitions.map(({ files }) => files.length)).toEqual([100, 100, 50]);
    const ids: unknown[] = [];
    for (const partition of partitions) {
      for await (const batch of (await reader.read(json(partition), task)) as AsyncIterable<never>)
        for (const row of rowsOf(batch)) ids.push(Number(row["id"]));
    }
    expect(ids.sort((a, b) => Number(a) - Number(b))).toEqual(Array.from({ length: 250 }, (_, i) => i));
  });
});

describe("the testing kit", () => {
  it.each(["time", "key"] as const)(
    "The testing kit finds no trap in the files source ordered by %s",
    async (order) => {
      const path = temporaryFolder();
      let files = 0;
      const advance = () => {
        for (let i = 0; i < 3; i++, files++) {
          const name = join(path, `${String(files).padStart(3, "0")}.jsonl`);
          writeFileSync(name, `{"id":"${files}"}\n`);
          utimesSync(name, 1e9 + files, 1e9 + files);
        }
      };
      advance();
      const definition = pipeline("checked")
        .readStream.format(Files)
        .options({ path, format: "jsonl", order, maxFilesPerPartition: 2 })
        .schema("id string NOT NULL")
        .writeStream.format(ArrowTable);
      const { notChecked } = await checkSource(definition as never, { advance });
      expect(notChecked).toEqual([]);
    },
  );
});
