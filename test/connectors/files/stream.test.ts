import {
  appendFileSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { rowsOf } from "../../../shared/arrow/rows.ts";
import { ArrowTable } from "../../../shared/connectors/arrow-table/index.ts";
import { Files, type FilesOptions } from "../../../shared/connectors/files/index.ts";
import type { DataSourceRuntime, TaskContext } from "../../../shared/contract/context.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import { MillraceError } from "../../../shared/contract/errors.ts";
import type { JsonValue } from "../../../shared/contract/json.ts";
import type { ObjectStore } from "../../../shared/contract/object-store.ts";
import { parseOptions } from "../../../shared/contract/options/parse.ts";
import { pipeline } from "../../../shared/contract/pipeline.ts";
import {
  ReadAllAvailable,
  type ReadLimit,
  ReadMaxBytes,
  ReadMaxFiles,
} from "../../../shared/contract/read-limit.ts";
import type {
  DataSourceStreamReader,
  SupportsTriggerAvailableNow,
} from "../../../shared/contract/stream-reader.ts";
import { DirectoryStore } from "../../../shared/platform/embedded/directory-store.ts";
import { type MemoryObjects, MemoryStore, memoryObjects } from "../../../shared/platform/memory/memory-store.ts";
import { checkSource } from "../../../shared/testing/index.ts";
import { EngineWorld } from "../../support/engine.ts";
import { temporaryFolder } from "../../support/folder.ts";

type Offset = { readonly files: number; readonly key?: string; readonly seen?: string };
type Group = {
  readonly files: readonly { readonly key: string; readonly bytes: number; readonly etag: string }[];
};
type Reader = DataSourceStreamReader<Offset, Group> &
  Required<SupportsTriggerAvailableNow> & { prepareForTriggerAvailableNow(): void };

const NOW = Date.UTC(2026, 10, 21);
const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const SCHEMA = parseDdl("id string");
const task = { signal: new AbortController().signal } as TaskContext;
const json = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;

/** A folder in memory, whose files have what times a test likes, and readers of it. */
class Desk {
  now = NOW;
  readonly folder: MemoryObjects = memoryObjects(() => this.now);
  readonly own: MemoryObjects = memoryObjects(() => this.now);
  readonly source: ObjectStore = new MemoryStore(this.folder);
  readonly options: FilesOptions;
  lists = 0;

  constructor(options: Partial<FilesOptions> = {}) {
    this.options = { path: "in", format: "csv", settleSeconds: 0, header: false, ...options };
  }

  /** Each file has one row, `name@time`. */
  put(name: string, modifiedAt: number = this.now): void {
    this.folder.objects.set(name, { bytes: Buffer.from(`${name}@${modifiedAt - NOW}\n`), modifiedAt });
  }

  /** A reader made anew, as in another process. */
  async reader(options: Partial<FilesOptions> = {}): Promise<Reader> {
    const list = this.source.list.bind(this.source);
    const counted: ObjectStore = Object.assign(new MemoryStore(this.folder), {
      list: (...args: Parameters<ObjectStore["list"]>) => {
        this.lists++;
        return list(...args);
      },
    });
    const runtime: DataSourceRuntime = {
      now: () => this.now,
      random: () => 0.5,
      newId: () => "id",
      sleep: async () => undefined,
      env: {},
      store: new MemoryStore(this.own),
      openStore: () => counted,
    };
    const files = new Files(await parseOptions(Files, { ...this.options, ...options }), runtime);
    return files.streamReader(SCHEMA) as unknown as Reader;
  }

  /** Plans a batch as the engine does; gives its end and its files. */
  async plan(
    start: Offset,
    limit: ReadLimit = new ReadMaxFiles(1000),
    reader?: Reader,
  ): Promise<[Offset, string[]]> {
    const planner = reader ?? (await this.reader());
    const end = json(await planner.latestOffset(start, limit));
    if (JSON.stringify(end) === JSON.stringify(start)) return [start, []];
    return [end, keysOf(json(await planner.partitions(start, end)))];
  }

  /** Plans batches until nothing is new. */
  async drain(start: Offset, limit?: ReadLimit, reader?: Reader): Promise<[Offset, string[][]]> {
    const batches: string[][] = [];
    for (let from = start; ; ) {
      const [end, files] = await this.plan(from, limit, reader);
      if (files.length === 0) return [from, batches];
      batches.push(files);
      from = end;
    }
  }

  async rows(groups: readonly Group[], options: Partial<FilesOptions> = {}): Promise<unknown[]> {
    const rows: unknown[] = [];
    for (const group of groups) {
      const reader = await this.reader(options);
      for await (const batch of (await reader.read(json(group), task)) as AsyncIterable<never>)
        for (const row of rowsOf(batch)) rows.push(row["id"]);
    }
    return rows;
  }
}

const START: Offset = { files: 0 };

function keysOf(groups: readonly Group[]): string[] {
  return groups.flatMap(({ files }) => files.map(({ key }) => key));
}

async function failure(body: Promise<unknown>): Promise<MillraceError> {
  const thrown: unknown = await body.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!MillraceError.is(thrown)) throw new Error("no MillraceError", { cause: thrown });
  return thrown;
}

describe("a stream of files", () => {
  it("has each file once, oldest first, in batches and partitions of so many", async () => {
    const desk = new Desk({ maxFilesPerPartition: 3 });
    for (let i = 0; i < 20; i++) desk.put(`${String((i * 7) % 20).padStart(2, "0")}.csv`, NOW + i);
    desk.now = NOW + DAY;
    const reader = await desk.reader({ maxFilesPerPartition: 3 });
    expect(await reader.initialOffset()).toEqual(START);
    expect(await reader.getDefaultReadLimit()).toEqual(new ReadMaxFiles(1000));
    const end = await reader.latestOffset(START, new ReadMaxFiles(8));
    expect(end).toMatchObject({ files: 8, time: new Date(NOW + 7).toISOString(), key: "09.csv" });
    const groups = await reader.partitions(START, end);
    expect(groups.map((group) => keysOf([group]))).toEqual([
      ["00.csv", "07.csv", "14.csv"],
      ["01.csv", "08.csv", "15.csv"],
      ["02.csv", "09.csv"],
    ]);
    expect(await desk.rows(groups.slice(2))).toEqual(["02.csv@6", "09.csv@7"]);
    const [last, batches] = await desk.drain(end, new ReadMaxFiles(8));
    expect(batches.map((files) => files.length)).toEqual([8, 4]);
    expect(last.files).toBe(20);
    expect(new Set([...keysOf(groups), ...batches.flat()]).size).toBe(20);
  });

  it("has batches and partitions of so many bytes, but always a file", async () => {
    const desk = new Desk({ maxBytesPerPartition: 20, maxBytesPerBatch: 40 });
    for (const [i, bytes] of [10, 10, 50, 15, 15, 5].entries())
      desk.folder.objects.set(`${i}`, { bytes: Buffer.alloc(bytes), modifiedAt: NOW + i });
    desk.now = NOW + DAY;
    const [, batches] = await desk.drain(START);
    expect(batches).toEqual([["0", "1"], ["2"], ["3", "4", "5"]]);
    const [, asked] = await desk.drain(START, new ReadMaxBytes(75));
    expect(asked).toEqual([
      ["0", "1", "2"],
      ["3", "4", "5"],
    ]);
    const reader = await desk.reader();
    const end = await reader.latestOffset(START, new ReadAllAvailable());
    expect((await reader.partitions(START, end)).map((group) => keysOf([group]))).toEqual([
      ["0", "1"],
      ["2"],
      ["3"],
      ["4", "5"],
    ]);
  });

  it("has a file that appears late with an old time, whatever was read before", async () => {
    const desk = new Desk();
    for (let i = 0; i < 10; i++) desk.put(`new-${i}`);
    const [offset] = await desk.drain(START);
    desk.put("from-a-backup", NOW - 400 * DAY);
    desk.put("of-a-long-upload", NOW - MINUTE);
    const [next, batches] = await desk.drain(offset);
    expect(batches).toEqual([["from-a-backup", "of-a-long-upload"]]);
    expect((await desk.drain(next))[1]).toEqual([]);
  });

  it("has files of one time once each, whatever their names and wherever a batch ends", async () => {
    const desk = new Desk();
    for (const name of ["m", "x", "c", "p"]) desk.put(name);
    const [first, read] = await desk.plan(START, new ReadMaxFiles(2));
    expect(read).toEqual(["c", "m"]);
    for (const name of ["a", "d", "z"]) desk.put(name);
    expect((await desk.drain(first, new ReadMaxFiles(2)))[1]).toEqual([["a", "d"], ["p", "x"], ["z"]]);
  });

  it("leaves a file alone that is younger than settleSeconds, and so may still be written", async () => {
    const desk = new Desk({ settleSeconds: 5 });
    desk.put("a", NOW);
    desk.put("b", NOW - 5000);
    const [offset, files] = await desk.plan(START);
    expect(files).toEqual(["b"]);
    desk.put("a", NOW + 3000);
    desk.now += 5000;
    expect((await desk.plan(offset))[1]).toEqual([]);
    desk.now += 3000;
    expect((await desk.plan(offset))[1]).toEqual(["a"]);
  });

  it("has the files of the pattern, and none that is hidden", async () => {
    const all = [
      "a.csv",
      "b/c.csv",
      "b/d/e.csv",
      "f.json",
      "_SUCCESS",
      ".a.csv",
      "_temporary/0/a.csv",
      "b/.x/a.csv",
    ];
    const found = async (options: Partial<FilesOptions>) => {
      const desk = new Desk(options);
      for (const name of [...all, "folder/"]) desk.put(name);
      return (await desk.plan(START))[1].sort();
    };
    expect(await found({})).toEqual(["a.csv", "b/c.csv", "b/d/e.csv", "f.json"]);
    expect(await found({ pattern: "*.csv" })).toEqual(["a.csv"]);
    expect(await found({ pattern: "**/*.csv" })).toEqual(["a.csv", "b/c.csv", "b/d/e.csv"]);
    expect(await found({ pattern: "{b/*.csv,*.json}" })).toEqual(["b/c.csv", "f.json"]);
  });

  it("gives the same files for the same offsets in any reader, and for two ranges those of the range of both", async () => {
    const desk = new Desk();
    for (let i = 0; i < 9; i++) desk.put(`${i}`, NOW - ((i * 4) % 9));
    const [a, first] = await desk.plan(START, new ReadMaxFiles(4));
    desk.put("late", NOW - DAY);
    const [b, second] = await desk.plan(a, new ReadMaxFiles(4));
    const files = async (from: Offset, to: Offset) =>
      keysOf(await (await desk.reader()).partitions(from, to));
    expect(await files(START, a)).toEqual(first);
    expect(await files(a, b)).toEqual(second);
    expect((await files(START, b)).sort()).toEqual([...first, ...second].sort());
    const reader = await desk.reader();
    expect([reader.compareOffsets?.(a, b), reader.compareOffsets?.(a, a)]).toEqual([-4, 0]);
  });

  it("lists the folder once to plan a batch, and once for all batches of a run that has an end", async () => {
    const desk = new Desk();
    for (let i = 0; i < 10; i++) desk.put(`${i}`, NOW - i);
    await desk.plan(START, new ReadMaxFiles(4));
    expect(desk.lists).toBe(1);
    const reader = await desk.reader();
    reader.prepareForTriggerAvailableNow();
    expect((await desk.drain(START, new ReadMaxFiles(4), reader))[1]).toHaveLength(3);
    expect(desk.lists).toBe(2);
  });
});

describe("a run of availableNow", () => {
  it.each(["time", "key"] as const)(
    "ends with what is there when it begins, also where it goes on in another process: %s",
    async (order) => {
      const desk = new Desk({ order });
      for (let i = 0; i < 6; i++) desk.put(`${i}`, NOW - 10 + i);
      const reader = await desk.reader();
      reader.prepareForTriggerAvailableNow();
      const [offset, first] = await desk.plan(START, new ReadMaxFiles(4), reader);
      const target = json(await reader.availableNowTarget()) as JsonValue;
      desk.now += MINUTE;
      desk.put("7");
      const other = await desk.reader();
      await other.restoreAvailableNow(target);
      const [end, rest] = await desk.drain(offset, new ReadMaxFiles(4), other);
      expect([...first, ...rest.flat()].sort()).toEqual(["0", "1", "2", "3", "4", "5"]);
      expect((await desk.drain(end))[1]).toEqual([["7"]]);
    },
  );
});

describe("a file that changes", () => {
  it("after it was read is an error, until it has another name", async () => {
    const desk = new Desk();
    desk.put("a");
    const [offset] = await desk.plan(START);
    desk.put("a", NOW + 1);
    desk.now += MINUTE;
    expect(await failure(desk.plan(offset))).toMatchObject({
      code: "FILE_CHANGED",
      message: "a was read, and has changed since",
      where: { path: "memory:/a" },
    });
    desk.folder.objects.delete("a");
    desk.put("a-2", NOW + 1);
    expect((await desk.plan(offset))[1]).toEqual(["a-2"]);
  });

  it("after it was read is read again with allowOverwrites, each version once", async () => {
    const desk = new Desk({ allowOverwrites: true });
    desk.put("a");
    desk.put("b");
    let [offset] = await desk.plan(START);
    for (const time of [1, 2]) {
      desk.put("a", NOW + time);
      desk.now = NOW + time;
      const [end, files] = await desk.plan(offset);
      expect(files).toEqual(["a"]);
      expect((await desk.plan(end))[1]).toEqual([]);
      offset = end;
    }
    expect(offset.files).toBe(4);
  });

  it.each([
    ["changed", (desk: Desk) => desk.put("b", NOW + 1)],
    ["gone", (desk: Desk) => void desk.folder.objects.delete("b")],
  ])("between plan and read is an error, and never gives other rows: %s", async (_what, change) => {
    const desk = new Desk();
    for (const name of ["a", "b", "c"]) desk.put(name);
    const reader = await desk.reader();
    const groups = await reader.partitions(START, await reader.latestOffset(START, new ReadAllAvailable()));
    change(desk);
    const error = await failure(desk.rows(groups));
    expect(error).toMatchObject({ code: "FILE_CHANGED", retryable: false, where: { path: "memory:/b" } });
    expect(await desk.rows(groups, { ignoreMissingFiles: true })).toEqual(["a@0", "c@0"]);
  });

  it("while its batch is planned makes the plan fail, so that it is made anew", async () => {
    const desk = new Desk();
    desk.put("a");
    desk.put("b");
    const end = await (await desk.reader()).latestOffset(START, new ReadAllAvailable());
    desk.folder.objects.delete("b");
    const error = await failure((async () => (await desk.reader()).partitions(START, end))());
    expect(error).toMatchObject({
      code: "FILE_CHANGED",
      message: "the batch had 2 files when its end was found, and has 1 now",
    });
  });
});

describe("which files were read", () => {
  it("is kept in few records, however many batches there were, and in offsets of a few bytes", async () => {
    const desk = new Desk({ maxFilesPerBatch: 100 });
    for (let i = 0; i < 20_000; i++) desk.put(`${i}`, NOW - 20_000 + i);
    const reader = await desk.reader();
    reader.prepareForTriggerAvailableNow();
    const [offset, batches] = await desk.drain(START, new ReadMaxFiles(100), reader);
    expect(new Set(batches.flat()).size).toBe(20_000);
    expect(batches).toHaveLength(200);
    expect(JSON.stringify(offset).length).toBeLessThan(150);
    const gets: string[] = [];
    const { get } = MemoryStore.prototype;
    MemoryStore.prototype.get = async function (key) {
      gets.push(key);
      return await get.call(this, key);
    };
    try {
      expect((await desk.plan(offset))[1]).toEqual([]);
    } finally {
      MemoryStore.prototype.get = get;
    }
    expect(gets.length).toBeLessThanOrEqual(6);
    const bytes = [...desk.own.objects.values()].reduce((sum, object) => sum + object.bytes.length, 0);
    expect(bytes).toBeLessThan(5_000_000);
  });

  it("is named by what it is: a batch that is planned again, anywhere, has the same end", async () => {
    const desk = new Desk();
    for (const name of ["a", "b", "c"]) desk.put(name);
    const [offset] = await desk.plan(START, new ReadMaxFiles(2));
    desk.now += 10 * DAY;
    expect((await desk.plan(START, new ReadMaxFiles(2)))[0]).toEqual(offset);
    expect(desk.own.objects.size).toBe(1);
    expect((await desk.plan(START, new ReadMaxFiles(1)))[0]).not.toEqual(offset);
  });

  it("is told by the offset: a batch that is rewound to is read again, with what came since", async () => {
    const desk = new Desk();
    const offsets = [START];
    for (let i = 0; i < 5; i++) {
      desk.put(`${i}`);
      offsets.push((await desk.plan(offsets.at(-1) ?? START))[0]);
      desk.now += MINUTE;
    }
    const rewound = offsets[2] ?? START;
    expect((await desk.drain(rewound))[1]).toEqual([["2", "3", "4"]]);
    expect((await desk.drain(START))[1]).toEqual([["0", "1", "2", "3", "4"]]);
    expect((await desk.drain(offsets.at(-1) ?? START))[1]).toEqual([]);
  });

  it("is not touched by a plan that was never recorded, or by one of another run", async () => {
    const desk = new Desk();
    desk.put("a");
    const [offset] = await desk.plan(START);
    desk.put("b");
    desk.put("c");
    await desk.plan(offset, new ReadMaxFiles(1));
    const [end, files] = await desk.plan(offset);
    expect(files).toEqual(["b", "c"]);
    expect((await desk.plan(end))[1]).toEqual([]);
  });

  it("is cleared up: the last 1,000 batches can be rewound to, what only older ones need is deleted", async () => {
    const desk = new Desk();
    desk.now += MINUTE;
    const offsets = [START];
    for (let i = 0; i < 1300; i++) {
      desk.put(`${i}`, NOW + i);
      const [end] = await desk.plan(offsets.at(-1) ?? START);
      offsets.push(end);
      await (await desk.reader()).commit(end);
      // So that there is little to list.
      desk.folder.objects.clear();
    }
    for (let i = 0; i < 1300; i++) desk.put(`${i}`, NOW + i);
    expect(desk.own.objects.size).toBeLessThan(1110);
    for (const i of [301, 700, 1300]) {
      expect((await desk.drain(offsets[i] ?? START))[1].flat()).toHaveLength(1300 - i);
    }
    expect(await failure(desk.plan(offsets[50] ?? START))).toMatchObject({ code: "SEEN_FILES_MISSING" });
    const [, again] = await desk.drain(START, new ReadAllAvailable());
    expect(again.flat()).toHaveLength(1300);
  });

  it("is forgotten of files that are gone, after a week", async () => {
    const desk = new Desk();
    for (let i = 0; i < 2000; i++) desk.put(`old-${i}`);
    const [offset] = await desk.plan(START, new ReadAllAvailable());
    desk.folder.objects.clear();
    for (let i = 0; i < 1000; i++) desk.put(`new-${i}`);
    const bytesIn = async (days: number) => {
      desk.now = NOW + days * DAY;
      const [{ seen = "" }] = await desk.plan(offset, new ReadAllAvailable());
      return desk.own.objects.get(`seen/${seen}`)?.bytes.length;
    };
    expect(await bytesIn(6)).toBeGreaterThan(3000 * 12);
    desk.put("another");
    expect(await bytesIn(7)).toBeLessThan(1100 * 12);
  });

  it("is right whatever comes late, changes places, or is planned twice", async () => {
    const step = fc.oneof(
      fc.record({ put: fc.nat(30), age: fc.integer({ min: -3, max: 5 }) }),
      fc.record({ plan: fc.integer({ min: 1, max: 4 }), recorded: fc.boolean() }),
      fc.record({ wait: fc.integer({ min: 1, max: 10 * 1440 }) }),
      fc.record({ remove: fc.nat(30) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const desk = new Desk();
        const [offset, read] = await readBetween(desk, steps);
        desk.now += 10 * DAY;
        read.push(...(await desk.drain(offset, new ReadMaxFiles(7)))[1].flat());
        expect(new Set(read).size).toBe(read.length);
        const missing = [...desk.folder.objects.keys()].filter((name) => !read.includes(name));
        expect(missing).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });
});

/** What happens to a folder, or a batch that is planned of it. */
type Step =
  | { readonly put: number; readonly age: number }
  | { readonly wait: number }
  | { readonly remove: number }
  | { readonly plan: number; readonly recorded: boolean };

/** Takes these steps. Returns the end of the last batch that was recorded, and all files read. */
async function readBetween(desk: Desk, steps: readonly Step[]): Promise<[Offset, string[]]> {
  const read: string[] = [];
  const known = new Set<string>();
  let offset = START;
  for (const step of steps) {
    if ("put" in step) {
      const name = `file-${step.put}`;
      if (!known.has(name)) desk.put(name, desk.now - step.age * DAY);
      known.add(name);
    } else if ("wait" in step) desk.now += step.wait * MINUTE;
    else if ("remove" in step) desk.folder.objects.delete(`file-${step.remove}`);
    else {
      const [end, files] = await desk.plan(offset, new ReadMaxFiles(step.plan));
      if (!step.recorded) continue;
      read.push(...files);
      offset = end;
    }
  }
  return [offset, read];
}

describe("a stream by names", () => {
  it("lists only what comes after the last name, and never what comes before it", async () => {
    const desk = new Desk({ order: "key" });
    for (let i = 0; i < 10; i++) desk.put(`2026/${i}.csv`, NOW - i);
    const [offset, files] = await desk.plan(START, new ReadMaxFiles(4));
    expect(offset).toEqual({ files: 4, key: "2026/3.csv" });
    expect(files).toEqual([0, 1, 2, 3].map((i) => `2026/${i}.csv`));
    expect(desk.lists).toBe(1);
    desk.put("2026/0-late.csv");
    desk.put("2026/9-new.csv");
    const [end, rest] = await desk.drain(offset, new ReadMaxFiles(4));
    expect(rest.flat()).toEqual(
      [4, 5, 6, 7, 8].map((i) => `2026/${i}.csv`).concat("2026/9-new.csv", "2026/9.csv"),
    );
    expect(await (await desk.reader()).latestOffset(end, new ReadMaxFiles(4))).toEqual(end);
    expect(desk.own.objects.size).toBe(0);
  });

  it("waits for a file that may still be written, though later ones are not", async () => {
    const desk = new Desk({ order: "key", settleSeconds: 60 });
    desk.put("a", NOW - MINUTE);
    desk.put("b", NOW);
    desk.put("c", NOW - MINUTE);
    const [offset, files] = await desk.plan(START);
    expect(files).toEqual(["a"]);
    desk.now += MINUTE;
    expect((await desk.plan(offset))[1]).toEqual(["b", "c"]);
  });

  it("gives the same files for the same offsets in any reader", async () => {
    const desk = new Desk({ order: "key" });
    for (const name of ["a", "b", "c", "\uFF5E", "\u{1F600}"]) desk.put(name);
    const [a, first] = await desk.plan(START, new ReadMaxFiles(2));
    const [b, second] = await desk.plan(a, new ReadMaxFiles(3));
    expect([first, second]).toEqual([
      ["a", "b"],
      ["c", "\uFF5E", "\u{1F600}"],
    ]);
    const files = async (from: Offset, to: Offset) =>
      keysOf(await (await desk.reader()).partitions(from, to));
    expect(await files(START, b)).toEqual([...first, ...second]);
    expect(await files(a, b)).toEqual(second);
    desk.folder.objects.delete("a");
    expect(await failure(files(START, a))).toMatchObject({ code: "FILE_CHANGED" });
  });
});

describe("a local folder", () => {
  /** Files with real times, and readers that see the real ones of a minute later. */
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

  it("may have files moved in with times of long ago", async () => {
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

  it("notices a file that grows after it was read", async () => {
    const { folder, put, plan } = await local();
    put("a.csv", "id\n1\n");
    const [offset] = await plan(START);
    appendFileSync(join(folder, "a.csv"), "2\n");
    expect(await failure(plan(offset))).toMatchObject({
      code: "FILE_CHANGED",
      where: { path: join(folder, "a.csv") },
    });
  });

  it("notices a file of the same size and other content, as far as its time shows it", async () => {
    const { folder, put, plan } = await local();
    put("a.csv", "id\n1\n");
    utimesSync(join(folder, "a.csv"), 1000, 1000);
    const [offset] = await plan(START);
    put("a.csv", "id\n2\n");
    expect(await failure(plan(offset))).toMatchObject({ code: "FILE_CHANGED" });
    utimesSync(join(folder, "a.csv"), 1000, 1000);
    expect(keysOf((await plan(offset))[1])).toEqual([]);
  });

  it("has no symbolic links: they are not followed", async () => {
    const { folder, put, plan } = await local();
    put("a.csv", "id\n1\n");
    symlinkSync(join(folder, "a.csv"), join(folder, "b.csv"));
    expect(keysOf((await plan(START))[1])).toEqual(["a.csv"]);
  });

  it("need not be there yet", async () => {
    const { folder, put, plan } = await local();
    rmSync(folder, { recursive: true });
    expect(await plan(START)).toEqual([START, []]);
    put("a.csv", "id\n");
    expect(keysOf((await plan(START))[1])).toEqual(["a.csv"]);
  });
});

describe("a batch of files", () => {
  it("has all files that are there, once", async () => {
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
  it.each(["time", "key"] as const)("finds no trap: %s", async (order) => {
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
  });
});
