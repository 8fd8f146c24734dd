import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ReadAllAvailable, ReadMaxFiles } from "../../../shared/contract/read-limit.ts";
import { MemoryStore } from "../../../shared/platform/memory/memory-store.ts";
import { DAY, Desk, failure, MINUTE, NOW, type Offset, START } from "./folder-desk.ts";

describe("the record of files read", () => {
  it("The files source keeps the files that it read in few records, with offsets of a few bytes", async () => {
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

  it("The record of files read is named by its content: a batch that is planned again has the same end", async () => {
    const desk = new Desk();
    for (const name of ["a", "b", "c"]) desk.put(name);
    const [offset] = await desk.plan(START, new ReadMaxFiles(2));
    desk.now += 10 * DAY;
    expect((await desk.plan(START, new ReadMaxFiles(2)))[0]).toEqual(offset);
    expect(desk.own.objects.size).toBe(1);
    expect((await desk.plan(START, new ReadMaxFiles(1)))[0]).not.toEqual(offset);
  });

  it("An offset tells which files were read: a rewind reads its batch again, with files that came since", async () => {
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

  it("The record of files read is not changed by a plan that was not recorded or is of another run", async () => {
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

  it("The record of files read keeps the last 1,000 batches for rewinds and deletes older ones", async () => {
    const desk = new Desk();
    desk.now += MINUTE;
    const offsets = [START];
    for (let i = 0; i < 1300; i++) {
      desk.put(`${i}`, NOW + i);
      const [end] = await desk.plan(offsets.at(-1) ?? START);
      offsets.push(end);
      await (await desk.reader()).commit(end);
      // With few files the listing is short.
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

  it("The record of files read forgets files a week after they are gone", async () => {
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

  it("The record of files read is right if files come late or move, or if a batch is planned twice", async () => {
    const step = fc.oneof(
      fc.record({ put: fc.nat(30), age: fc.integer({ min: -1, max: 5 }) }),
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

/** A step of a test: a change of the folder, or a batch. */
type Step =
  | { readonly put: number; readonly age: number }
  | { readonly wait: number }
  | { readonly remove: number }
  | { readonly plan: number; readonly recorded: boolean };

/** Runs these steps. Returns the end of the last recorded batch, and all files that were read. */
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
