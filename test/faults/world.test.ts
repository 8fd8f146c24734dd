import { describe, expect, it } from "vitest";
import type { Batch, Head, Ledger } from "../../shared/engine/ports/ledger.ts";
import { finish, tidy } from "./acts.ts";
import { SHAPE } from "./cases.ts";
import { Run } from "./run.ts";
import { World } from "./world.ts";

/**
 * Tests of the judge of the fault tests. Each test damages a world in one way, and the judge must
 * find it.
 */

const ALL = Array.from({ length: SHAPE.rows }, (_, id) => id);
const DAYS = 86_400_000;
const entry = (version: number) => `table/_log/${String(version).padStart(20, "0")}.json`;

/** Returns a world after a run without a fault that committed two batches. */
async function whole(): Promise<World> {
  const world = new World(SHAPE);
  await new Run(world).start();
  world.now += 3 * DAYS;
  await tidy(world);
  return world;
}

function files(world: World): readonly string[] {
  return [...world.objects.objects.keys()].filter((key) => key.startsWith("table/data/"));
}

function bytesOf(world: World, key: string): Uint8Array {
  const { bytes } = world.objects.objects.get(key) ?? {};
  if (bytes === undefined) throw new Error(`${key} is not there`);
  return bytes;
}

/** Overwrites an object, which no store allows. */
function replace(world: World, key: string, bytes: Uint8Array): void {
  world.objects.objects.set(key, { bytes, modifiedAt: world.now });
}

/** Changes an entry of the log, which no store allows. */
function edit(world: World, version: number, change: (add: readonly unknown[]) => readonly unknown[]): void {
  const json = JSON.parse(Buffer.from(bytesOf(world, entry(version))).toString()) as {
    add: readonly unknown[];
  };
  replace(world, entry(version), Buffer.from(JSON.stringify({ ...json, add: change(json.add) })));
}

/** Returns a copy of the world whose ledger answers with the values in `told`. */
function telling(world: World, told: Partial<Ledger>): World {
  const { pipeline, shape, objects } = world;
  const ledger = new Proxy(world.ledger, {
    get(target, name) {
      const method: unknown = Reflect.get(told, name) ?? Reflect.get(target, name);
      return typeof method === "function" ? method.bind(target) : method;
    },
  });
  const other = new World(shape, { remains: { pipeline, ledger, objects } });
  other.now = world.now;
  for (const key of [...objects.objects.keys()].sort()) other.sawPut(key);
  for (const end of world.acknowledged) other.acknowledged.add(end);
  return other;
}

/** Returns a world whose ledger answers with changed batches. */
async function withBatches(change: (batches: readonly Batch[]) => readonly Batch[]): Promise<World> {
  const world = await whole();
  const { ledger } = world;
  return telling(world, { batches: async (...args) => change(await ledger.batches(...args)) });
}

/** Returns a world whose ledger answers with a changed head. */
async function withHead(change: Partial<Head>): Promise<World> {
  const world = await whole();
  const { ledger } = world;
  return telling(world, {
    head: async (pipeline) => {
      const head = await ledger.head(pipeline);
      return head && { ...head, ...change };
    },
  });
}

async function verdict(world: World): Promise<readonly string[]> {
  await world.judge(ALL);
  return world.violations;
}

describe("the judge of a table", () => {
  it("The judge of a table finds nothing wrong after a run without a fault", async () => {
    expect(await verdict(await whole())).toEqual([]);
    expect(await verdict(telling(await whole(), {}))).toEqual([]);
  });

  it("The judge of a table sees a row that is lost", async () => {
    const world = await whole();
    edit(world, 1, (add) => add.slice(1));
    expect(await verdict(world)).toContainEqual(expect.stringMatching(/^[1-9] rows are lost$/));
  });

  it("The judge of a table sees a row that is doubled", async () => {
    const world = await whole();
    edit(world, 1, (add) => [...add, ...add.slice(-1)]);
    expect(await verdict(world)).toEqual(["rows are doubled"]);
  });

  it("The judge of a table sees rows that are out of order", async () => {
    const world = await whole();
    edit(world, 1, (add) => add.toReversed());
    expect(await verdict(world)).toEqual(["rows are out of order"]);
  });

  it("The judge of a table sees a batch that is twice in the log, and a file that two commits name", async () => {
    const world = await whole();
    await world.store.put(entry(2), bytesOf(world, entry(1)));
    expect(await verdict(world)).toEqual([
      "two commits name one file",
      "rows are doubled",
      "the log has a batch twice",
    ]);
  });

  it("The judge of a table sees a commit of a missing file", async () => {
    const world = await whole();
    const add = [{ path: "data/nothing.arrow", rows: 1, bytes: 1 }];
    const json = { pipeline: "numbers", incarnation: "another", batchId: 9, add, remove: [] };
    await world.store.put(entry(2), Buffer.from(JSON.stringify(json)));
    expect(await verdict(world)).toEqual([
      "a commit names a file that is not there",
      "a committed file is gone",
    ]);
  });

  it("The judge of a table sees a deletion of a committed file, at once and in the end", async () => {
    const world = await whole();
    await world.store.delete(files(world).slice(0, 1));
    expect(world.violations).toEqual(["a file that a commit names was deleted"]);
    expect(await verdict(world)).toEqual([
      "a file that a commit names was deleted",
      "2 rows are lost",
      "a committed file is gone",
    ]);
  });

  it("The judge of a table sees a deletion of a commit", async () => {
    const world = await whole();
    await world.store.delete([entry(1)]);
    expect(await verdict(world)).toContain("a commit was deleted");
  });

  it.each([
    ["table/data/numbers/life/file.arrow", "a staged file was left behind"],
    ["batches/000000000000/message-1.json", "a plan or a message was left behind"],
  ])("The judge of a table sees that the file %s was left behind", async (key, what) => {
    const world = await whole();
    await world.store.put(key, Buffer.from("x"));
    expect(await verdict(world)).toEqual([what]);
  });

  it("The judge of a table sees an unfinished upload", async () => {
    const world = await whole();
    world.objects.uploads.set("1", { key: "table/data/x", uploadId: "1", startedAt: 0 });
    expect(await verdict(world)).toEqual(["an unfinished upload was left behind"]);
  });
});

describe("the judge of a ledger", () => {
  it("The judge of a ledger sees ids with a gap", async () => {
    const world = await withBatches((batches) =>
      batches.map((batch) => ({ ...batch, batchId: batch.batchId * 2 })),
    );
    expect(await verdict(world)).toEqual(["batch ids do not go up by one"]);
  });

  it("The judge of a ledger sees ranges that do not join", async () => {
    const world = await withBatches((batches) => batches.map((batch) => ({ ...batch, start: { n: 0 } })));
    expect(await verdict(world)).toEqual(["offset ranges do not join"]);
  });

  it("The judge of a ledger sees a batch that is not committed", async () => {
    const world = await withBatches((batches) =>
      batches.map((batch) => ({ ...batch, state: "planned" as const })),
    );
    expect(await verdict(world)).toEqual(["a batch is left planned"]);
  });

  it.each([
    [{ offset: { n: 4 } }, "the offset is not the end of the last batch"],
    [{ openBatchId: 1 }, "a batch is left open"],
    [{ unacknowledged: { batchId: 1, end: { n: 8 } } }, "a batch is left to acknowledge"],
  ])("The judge of a ledger sees a head with %j", async (change, what) => {
    expect(await verdict(await withHead(change))).toEqual([what]);
  });

  it("The judge of a ledger sees a batch that was both committed and given up", () => {
    const world = new World(SHAPE);
    world.sawState(0, 1, "aborted");
    world.sawState(0, 1, "committed");
    expect(world.violations).toEqual(["a batch attempt is both committed and aborted"]);
  });

  it("The judge of a ledger sees a batch that is begun again after its commit", () => {
    const world = new World(SHAPE);
    world.sawState(0, 1, "committed");
    world.sawState(0, 2, "committing");
    expect(world.violations).toEqual(["a committed batch has changed its state"]);
  });

  it("The judge of a ledger sees a batch that is given up although it is in the table", async () => {
    const world = await whole();
    world.hasOneFault = true;
    world.sawState(1, 2, "aborting");
    expect(world.violations).toContain("a batch that is in the table was aborted");
  });

  it("The judge of a ledger sees runs that never come to an end", async () => {
    const world = new World(SHAPE);
    const stuck = telling(world, {
      acknowledge: async () => {
        throw new Error("not now");
      },
    });
    await finish(stuck);
    expect(stuck.violations).toEqual(["runs without faults do not come to an end"]);
  });
});

describe("the judge of the contract's calls", () => {
  it("The judge of calls sees a source that was never told of a batch", async () => {
    const world = await whole();
    world.acknowledged.delete(4);
    expect(await verdict(world)).toEqual(["the source was never told of a committed batch"]);
  });

  it("The judge of calls sees an acknowledgement of a batch that is not in the table", async () => {
    const world = await whole();
    world.sawAcknowledged(SHAPE.rows);
    expect(world.violations).toEqual([]);
    world.sawAcknowledged(SHAPE.rows + 1);
    expect(world.violations).toEqual(["the source was told to forget rows that are not in the table"]);
  });

  it("The judge of calls sees a second commit with other messages", () => {
    const world = new World(SHAPE);
    world.sawCommit("0/1", "[1]");
    world.sawCommit("0/1", "[1]");
    world.sawCommit("0/2", "[2]");
    expect(world.violations).toEqual([]);
    world.sawCommit("0/1", "[2]");
    expect(world.violations).toEqual(["a commit was asked for again with other messages"]);
  });

  it("The judge of calls sees a finished task that is read again without another run at work", () => {
    const world = new World(SHAPE);
    world.sawTask("0/1/0");
    world.sawRead("0/1/0", false);
    world.sawRead("0/1/1", true);
    expect(world.violations).toEqual([]);
    world.sawRead("0/1/0", true);
    expect(world.violations).toEqual(["a task that had finished was run again"]);
  });
});
