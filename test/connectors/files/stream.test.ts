import { describe, expect, it } from "vitest";
import type { FilesOptions } from "../../../shared/connectors/files/index.ts";
import type { JsonValue } from "../../../shared/contract/json.ts";
import { ReadAllAvailable, ReadMaxBytes, ReadMaxFiles } from "../../../shared/contract/read-limit.ts";
import { DAY, Desk, failure, json, keysOf, MINUTE, NOW, type Offset, START } from "./folder-desk.ts";

describe("a stream of files", () => {
  it("A stream of files has each file once, oldest first, in batches and partitions of limited counts", async () => {
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

  it("A stream of files limits the bytes of batches and partitions, which have at least one file", async () => {
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

  it("A stream of files has a file that appears late with an old time, whatever was read before", async () => {
    const desk = new Desk();
    for (let i = 0; i < 10; i++) desk.put(`new-${i}`);
    const [offset] = await desk.drain(START);
    desk.put("from-a-backup", NOW - 400 * DAY);
    desk.put("of-a-long-upload", NOW - MINUTE);
    const [next, batches] = await desk.drain(offset);
    expect(batches).toEqual([["from-a-backup", "of-a-long-upload"]]);
    expect((await desk.drain(next))[1]).toEqual([]);
  });

  it("A stream of files has each of several files of one time once, wherever a batch ends", async () => {
    const desk = new Desk();
    for (const name of ["m", "x", "c", "p"]) desk.put(name);
    const [first, read] = await desk.plan(START, new ReadMaxFiles(2));
    expect(read).toEqual(["c", "m"]);
    for (const name of ["a", "d", "z"]) desk.put(name);
    expect((await desk.drain(first, new ReadMaxFiles(2)))[1]).toEqual([["a", "d"], ["p", "x"], ["z"]]);
  });

  it("A stream of files waits settleSeconds for a young file, which may still be written", async () => {
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

  it("A stream of files has the files that match the pattern and no hidden ones", async () => {
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

  it("The files of a range of offsets are the same in any reader, and two ranges join to the range of both", async () => {
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

  it("A stream of files lists the folder once for each batch, or once for a run that has an end", async () => {
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
    "A run of availableNow ends with the files at its beginning, also in another process, by %s",
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
  it("A file that changes after it was read is an error until it has another name", async () => {
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

  it("A file that changes after it was read is read again with allowOverwrites, each version once", async () => {
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
  ])(
    "A file that is %s between plan and read is an error and never has other rows",
    async (_what, change) => {
      const desk = new Desk();
      for (const name of ["a", "b", "c"]) desk.put(name);
      const reader = await desk.reader();
      const groups = await reader.partitions(START, await reader.latestOffset(START, new ReadAllAvailable()));
      change(desk);
      const error = await failure(desk.rows(groups));
      expect(error).toMatchObject({ code: "FILE_CHANGED", retryable: false, where: { path: "memory:/b" } });
      expect(await desk.rows(groups, { ignoreMissingFiles: true })).toEqual(["a@0", "c@0"]);
    },
  );

  it("A plan fails if a file changes meanwhile, so that the batch is planned anew", async () => {
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

describe("a stream by names", () => {
  it("A stream by names lists only names after the last one and never reads earlier ones", async () => {
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

  it("A stream by names waits for a file that may still be written, although later ones are complete", async () => {
    const desk = new Desk({ order: "key", settleSeconds: 60 });
    desk.put("a", NOW - MINUTE);
    desk.put("b", NOW);
    desk.put("c", NOW - MINUTE);
    const [offset, files] = await desk.plan(START);
    expect(files).toEqual(["a"]);
    desk.now += MINUTE;
    expect((await desk.plan(offset))[1]).toEqual(["b", "c"]);
  });

  it("A stream by names has the same files for the same offsets in any reader", async () => {
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
