import type { RecordBatch } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { encodeFile } from "../../../shared/arrow/ipc-file.ts";
import { recordBatchOf } from "../../../shared/arrow/record-batches.ts";
import { rowsOf } from "../../../shared/arrow/rows.ts";
import {
  checkStaged,
  dropStaged,
  findDamagedFiles,
  parseAttempt,
  putRows,
  readStaged,
  type StagedFile,
  stagingOf,
} from "../../../shared/connectors/kit/staging.ts";
import type { SinkContext } from "../../../shared/contract/context.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import type { ObjectStore } from "../../../shared/contract/object-store.ts";
import { MemoryStore, memoryObjects } from "../../../shared/platform/memory/memory-store.ts";

const schema = parseDdl("id int, text string");

/** Staging in memory, with files that a test may change. */
class Staging {
  readonly objects = memoryObjects(() => 0);
  readonly context = {
    pipeline: "orders",
    store: new MemoryStore(this.objects),
  } as unknown as SinkContext;
  readonly store: ObjectStore = stagingOf(this.context);

  async put(batches: AsyncIterable<RecordBatch>, fileBytes?: number): Promise<readonly StagedFile[]> {
    const keyOf = (id: string) => `life-1/000000000000-000000-1-0-${id}.arrow`;
    return await putRows(this.store, keyOf, "abcd", schema, batches, fileBytes);
  }

  async ids(files: readonly StagedFile[]): Promise<unknown[]> {
    const ids: unknown[] = [];
    for await (const { batch } of readStaged([{ files }], this.context))
      for (const row of rowsOf(batch)) ids.push(row["id"]);
    return ids;
  }

  async replace(path: string, change: (bytes: Uint8Array) => Uint8Array): Promise<void> {
    const bytes = await this.store.get(path);
    await this.store.delete([path]);
    await this.store.put(path, change(bytes ?? new Uint8Array()));
  }
}

async function* batchesOf(count: number, rowBytes = 1000): AsyncGenerator<RecordBatch> {
  for (let id = 0; id < count; id++) yield recordBatchOf(schema, [{ id, text: "x".repeat(rowBytes) }]);
}

const upTo = (end: number) => Array.from({ length: end }, (_, id) => id);

describe("rows that are staged", () => {
  it("A task goes on in the next file when one has reached its size, and the rows keep their order", async () => {
    const staging = new Staging();
    const files = await staging.put(batchesOf(10), 3000);
    expect(files.map(({ rows }) => rows)).toEqual([3, 3, 3, 1]);
    expect(await staging.ids(files)).toEqual(upTo(10));
    for (const { path, bytes } of files) {
      expect((await staging.store.get(path))?.length).toBe(bytes);
      expect(parseAttempt(path, "life-1/")).toEqual({ batchId: 0, attempt: 1 });
    }
  });

  it("A task whose rows end with a full file has no empty file after it", async () => {
    const staging = new Staging();
    expect((await staging.put(batchesOf(6), 3000)).map(({ rows }) => rows)).toEqual([3, 3]);
    expect(await staging.put(batchesOf(0))).toEqual([]);
  });

  it("A record batch that is larger than a file is written in several", async () => {
    const staging = new Staging();
    async function* large() {
      yield recordBatchOf(
        schema,
        upTo(100).map((id) => ({ id, text: "x".repeat(100) })),
      );
    }
    const files = await staging.put(large(), 3000);
    expect(files.map(({ rows }) => rows)).toEqual([50, 50]);
    expect(await staging.ids(files)).toEqual(upTo(100));
  });

  it("A single row that is larger than a file has a file of its own", async () => {
    const staging = new Staging();
    const files = await staging.put(batchesOf(3, 5000), 1000);
    expect(files.map(({ rows }) => rows)).toEqual([1, 1, 1]);
    expect(await staging.ids(files)).toEqual(upTo(3));
  });

  it("A task that fails after its first file leaves no file", async () => {
    const staging = new Staging();
    async function* failing() {
      yield* batchesOf(7);
      throw new Error("the source broke");
    }
    await expect(staging.put(failing(), 3000)).rejects.toThrow("the source broke");
    expect([...staging.objects.objects.keys()]).toEqual([]);
  });

  it("All files of a message are deleted with it, and those of an older message are found", async () => {
    const staging = new Staging();
    const files = await staging.put(batchesOf(10), 3000);
    const [first, ...others] = files;
    expect(first).toBeDefined();
    await dropStaged([first as StagedFile, null, { path: null, rows: 0, bytes: 0 }], staging.context);
    expect([...staging.objects.objects.keys()]).toHaveLength(others.length);
    await dropStaged([{ files: others }], staging.context);
    expect([...staging.objects.objects.keys()]).toEqual([]);
  });

  it("Files that are gone or have another size are found, with partition, path and both sizes", async () => {
    const staging = new Staging();
    const files = await staging.put(batchesOf(10), 3000);
    const [gone, short, long, well] = files as [StagedFile, StagedFile, StagedFile, StagedFile];
    await staging.store.delete([gone.path]);
    await staging.replace(short.path, () => new Uint8Array());
    await staging.replace(long.path, (bytes) => Buffer.concat([bytes, bytes]));
    const messages = [null, { files: [gone, well] }, short, { files: [long] }];
    const at = ({ path }: StagedFile) => `${staging.store.location}/${path}`;
    expect(await findDamagedFiles(staging.store, messages)).toEqual([
      { partition: 1, path: at(gone), problem: `is gone (expected ${gone.bytes} bytes)` },
      { partition: 2, path: at(short), problem: `has 0 bytes, and ${short.bytes} were written` },
      {
        partition: 3,
        path: at(long),
        problem: `has ${2 * long.bytes} bytes, and ${long.bytes} were written`,
      },
    ]);
  });

  const DAMAGES: readonly [string, (bytes: Uint8Array) => Uint8Array, RegExp][] = [
    ["was emptied", () => new Uint8Array(), /is damaged: it has 0 bytes, and \d+ were written/],
    ["was cut off", (bytes) => bytes.subarray(0, -20), /is damaged: it has \d+ bytes, and \d+ were written/],
    ["has grown", (bytes) => Buffer.concat([bytes, bytes]), /is damaged: it has more than the \d+ bytes/],
    ["has other bytes of the same size", (bytes) => bytes.map(() => 7), /is damaged: ./],
  ];
  it.each(DAMAGES)("A staged file that %s is an error that names it", async (_what, change, message) => {
    const staging = new Staging();
    const [file] = (await staging.put(batchesOf(2))) as [StagedFile];
    await staging.replace(file.path, change);
    const error = {
      code: "STAGED_FILE_MISSING",
      message: expect.stringMatching(message) as string,
      where: { partition: 1, path: `${staging.store.location}/${file.path}` },
      hint: expect.stringContaining("The next `millrace run` writes the batch again.") as string,
    };
    await expect(Array.fromAsync(readStaged([null, file], staging.context))).rejects.toMatchObject(error);
    await expect(checkStaged([null, file], staging.context)).rejects.toMatchObject(error);
  });

  it("A staged file with fewer rows than its task wrote is an error", async () => {
    const staging = new Staging();
    const [file] = (await staging.put(batchesOf(2))) as [StagedFile];
    await expect(staging.ids([{ ...file, rows: 3 }])).rejects.toMatchObject({
      code: "STAGED_FILE_MISSING",
      message: expect.stringContaining("it has 2 rows, and 3 were written") as string,
    });
  });

  it("A large file is read by ranges, several small record batches in one", async () => {
    const staging = new Staging();
    const [file] = (await staging.put(batchesOf(3000, 4000))) as [StagedFile];
    expect(file.bytes).toBeGreaterThan(8 * 1024 * 1024);
    const sizes: number[] = [];
    const getRange = MemoryStore.prototype.getRange;
    const counting = async function (
      this: MemoryStore,
      key: string,
      start: number,
      end: number,
      etag?: string,
    ) {
      sizes.push(end - start);
      return await getRange.call(this, key, start, end, etag);
    };
    Object.defineProperty(staging.store, "getRange", { value: counting });
    Object.defineProperty(staging.store, "at", { value: () => staging.store });
    const context = { ...staging.context, store: staging.store };
    let rows = 0;
    for await (const { batch } of readStaged([{ files: [file] }], context)) rows += batch.numRows;
    expect(rows).toBe(3000);
    expect(sizes.length).toBeLessThan(6);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(8 * 1024 * 1024);
  });

  it("A large file that is replaced while it is read is an error", async () => {
    const staging = new Staging();
    const [file] = (await staging.put(batchesOf(3000, 6000))) as [StagedFile];
    const read = readStaged([{ files: [file] }], staging.context);
    await read.next();
    const other = Buffer.concat(await Array.fromAsync(encodeFile(schema, batchesOf(1))));
    await staging.replace(file.path, (bytes) => Buffer.concat([other, bytes]).subarray(0, bytes.length - 1));
    await expect(Array.fromAsync(read)).rejects.toMatchObject({
      code: "STAGED_FILE_MISSING",
      message: expect.stringContaining("it was changed or deleted while it was read") as string,
    });
  });
});
