import type { RecordBatch } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { rowsOf } from "../../../shared/arrow/rows.ts";
import type { BatchContext, TaskContext } from "../../../shared/contract/context.ts";
import { DataSource } from "../../../shared/contract/data-source.ts";
import { type Pipeline, pipeline } from "../../../shared/contract/pipeline.ts";
import { DataSourceStreamReader, type Row } from "../../../shared/contract/stream-reader.ts";
import {
  type DamagedFile,
  DataSourceStreamArrowWriter,
  type SupportsCommitLookup,
  type SupportsStagedFiles,
} from "../../../shared/contract/stream-writer.ts";
import type { PlanResult } from "../../../shared/engine/plan.ts";
import { EngineWorld } from "../../support/engine.ts";

type Message = { readonly file: string; readonly pad?: string };

/**
 * A sink that keeps its staged files and its batches in memory, and a source of four partitions.
 */
function staging({ pad = "" } = {}) {
  const files = new Map<string, readonly number[]>();
  const landed = new Map<number, readonly number[]>();
  const calls: string[] = [];

  class Writer
    extends DataSourceStreamArrowWriter<Message>
    implements SupportsStagedFiles<Message>, SupportsCommitLookup
  {
    override async write(batches: AsyncIterable<RecordBatch>, task: TaskContext): Promise<Message> {
      const ids: number[] = [];
      for await (const batch of batches) for (const row of rowsOf(batch)) ids.push(Number(row["id"]));
      const file = `${task.attempt}-${task.partitionId}-${calls.length}.arrow`;
      calls.push(`write ${task.partitionId}`);
      files.set(file, ids);
      return pad === "" ? { file } : { file, pad };
    }
    async findDamaged(messages: readonly (Message | null)[]): Promise<readonly DamagedFile[]> {
      calls.push("findDamaged");
      return messages.flatMap((message, partition) =>
        message === null || files.has(message.file)
          ? []
          : [{ partition, path: `/staged/${message.file}`, problem: "is gone (expected 10 bytes)" }],
      );
    }
    override async commit(messages: readonly (Message | null)[], batchId: number): Promise<void> {
      calls.push("commit");
      landed.set(
        batchId,
        messages.flatMap((message) => files.get(message?.file ?? "") ?? []),
      );
    }
    override async abort(_messages: unknown, _batchId: number, batch: BatchContext): Promise<void> {
      calls.push(`abort of attempt ${batch.attempt}`);
    }
    hasCommitted(batchId: number): boolean {
      return landed.has(batchId);
    }
  }
  class Reader extends DataSourceStreamReader<{ n: number }, number> {
    override initialOffset = () => ({ n: 0 });
    override latestOffset = () => ({ n: 8 });
    override partitions = () => [0, 2, 4, 6];
    override *read(from: number): Generator<Row> {
      yield { id: from };
      yield { id: from + 1 };
    }
  }
  class Numbers extends DataSource {
    override schema = () => "id bigint NOT NULL";
    override streamReader = () => new Reader();
  }
  class Sink extends DataSource {
    override streamWriter = () => new Writer();
  }
  const definition = pipeline("numbers").readStream.format(Numbers).writeStream.format(Sink);
  return { files, landed, calls, definition: definition as unknown as Pipeline };
}

const ALL = [0, 1, 2, 3, 4, 5, 6, 7];
const staged = (files: ReadonlyMap<string, unknown>, partition: number) =>
  [...files.keys()].find((file) => file.split("-")[1] === String(partition)) ?? "";

/** Plans a batch and writes these partitions, like a run that is killed after that. */
async function killed(world: EngineWorld, definition: Pipeline, partitions: readonly number[]) {
  const run = await world.run(definition, "a");
  const planned = await run.plan();
  for (const partition of partitions) await run.write(planned, partition);
  return { run, planned };
}

const decide = async (world: EngineWorld, planned: PlanResult) =>
  planned.kind === "batch" && world.ledger.decide(planned.fence, planned.batch, { to: "committing" });

describe("staged files that are gone", () => {
  it("A resumed run writes the partitions again whose staged files are gone, and no others, with a warning", async () => {
    const { files, landed, calls, definition } = staging();
    const world = new EngineWorld();
    await killed(world, definition, [0, 1, 3]);
    const lost = staged(files, 1);
    files.delete(lost);
    calls.length = 0;
    const next = await world.run(definition, "b");
    const resumed = await next.plan({ ended: true });
    expect(resumed).toMatchObject({
      todo: [1, 2],
      batch: { attempt: 1 },
      loss: {
        code: "STAGED_FILE_MISSING",
        message: `the staged file /staged/${lost} is gone (expected 10 bytes): its rows are written again`,
        where: { pipeline: "numbers", batchId: 0, attempt: 1, partition: 1, path: `/staged/${lost}` },
      },
    });
    for (const partition of [1, 2]) await next.write(resumed, partition);
    expect((await next.finalize(resumed)).batch.state).toBe("committed");
    expect(landed.get(0)).toEqual(ALL);
    expect(calls).toEqual(["findDamaged", "write 1", "write 2", "findDamaged", "commit"]);
  });

  it("A batch whose staged files are lost before it is decided is aborted, and the next run writes all again", async () => {
    const { files, landed, definition, calls } = staging();
    const world = new EngineWorld();
    const { run, planned } = await killed(world, definition, [0, 1, 2, 3]);
    const lost = [staged(files, 2), staged(files, 3)];
    for (const file of lost) files.delete(file);
    const { batch } = await run.finalize(planned);
    expect(batch).toMatchObject({
      state: "aborted",
      lastTriedAttempt: 0,
      error: {
        code: "STAGED_FILE_MISSING",
        message: `the staged file /staged/${lost[0]} is gone (expected 10 bytes) (and 1 other files)`,
      },
    });
    expect(landed.size).toBe(0);
    expect(calls).not.toContain("commit");
    expect((await run.batch())?.batch).toMatchObject({
      state: "committed",
      attempt: 2,
    });
    expect(landed.get(0)).toEqual(ALL);
  });

  it("A batch that is found committing is not committed without its staged files", async () => {
    const { files, landed, calls, definition } = staging();
    const world = new EngineWorld();
    const { planned } = await killed(world, definition, [0, 1, 2, 3]);
    await decide(world, planned);
    files.delete(staged(files, 0));
    const next = await world.run(definition, "b");
    const resumed = await next.plan({ ended: true });
    expect(resumed).toMatchObject({ todo: [], batch: { state: "committing" } });
    const { batch, failure } = await next.finalize(resumed);
    expect(batch).toMatchObject({ state: "aborted", error: { code: "STAGED_FILE_MISSING" } });
    expect(failure).toMatchObject({ code: "STAGED_FILE_MISSING" });
    expect(landed.size).toBe(0);
    expect(calls).not.toContain("commit");
    expect((await next.batch())?.batch).toMatchObject({ state: "committed", attempt: 2 });
    expect(landed.get(0)).toEqual(ALL);
  });

  it("A batch that has landed is finished, although its staged files are gone by then", async () => {
    const { files, landed, calls, definition } = staging();
    const world = new EngineWorld();
    const { planned } = await killed(world, definition, [0, 1, 2, 3]);
    await decide(world, planned);
    landed.set(0, ALL);
    files.clear();
    const next = await world.run(definition, "b");
    const { batch } = await next.finalize(await next.plan({ ended: true }));
    expect(batch).toMatchObject({ state: "committed", attempt: 1 });
    expect(calls).not.toContain("commit");
  });

  it("The sink is asked once for each decision, also if the commit follows in the same call", async () => {
    const { calls, definition } = staging();
    await (await new EngineWorld().run(definition, "a")).batch();
    expect(calls.filter((call) => call === "findDamaged")).toHaveLength(1);
  });

  it.each([
    ["deleted", undefined, /is gone$/],
    ["emptied", () => "", /is damaged: it has 0 bytes, and \d+ were written$/],
    ["replaced by other JSON", () => "null", /is damaged: it has 4 bytes, and \d+ were written$/],
    ["garbled", (text: string) => text.replace("{", "["), /is damaged: it is not JSON$/],
  ] as const)(
    "A task runs again in the resumed run if the file of its message was %s",
    async (_what, change, message) => {
      const { landed, definition } = staging({ pad: "x".repeat(200_000) });
      const world = new EngineWorld();
      const { run } = await killed(world, definition, [0, 2]);
      const { store } = run.ports;
      const infos = await Array.fromAsync(store.list("batches/"));
      const [key = ""] = infos.map((info) => info.key).filter((name) => name.includes("message-"));
      const text = Buffer.from((await store.get(key)) ?? []).toString();
      await store.delete([key]);
      if (change !== undefined) await store.put(key, Buffer.from(change(text)));
      const next = await world.run(definition, "b");
      const resumed = await next.plan({ ended: true });
      if (resumed.kind !== "batch") throw new Error("there is an open batch");
      expect(resumed.todo).toHaveLength(3);
      expect(resumed.loss).toMatchObject({ code: "MESSAGE_MISSING" });
      expect(resumed.loss?.message.replace(": its rows are written again", "")).toMatch(message);
      for (const partition of resumed.todo) await next.write(resumed, partition);
      expect((await next.finalize(resumed)).batch.state).toBe("committed");
      expect(landed.get(0)).toEqual(ALL);
    },
  );

  it.each([
    ["emptied", () => ""],
    ["cut off", (text: string) => text.slice(0, -10)],
    ["replaced by other JSON", () => "{}"],
  ])("The source is asked for the partitions anew if their file was %s", async (_what, change) => {
    const { landed, definition } = staging();
    const world = new EngineWorld();
    const { run, planned } = await killed(world, definition, [0]);
    const key = planned.kind === "batch" ? planned.batch.partitionsKey : "";
    const { store } = run.ports;
    const text = Buffer.from((await store.get(key)) ?? []).toString();
    await store.delete([key]);
    await store.put(key, Buffer.from(change(text)));
    const next = await world.run(definition, "b");
    const resumed = await next.plan({ ended: true });
    expect(resumed).toMatchObject({
      todo: [0, 1, 2, 3],
      warning: { code: "PARTITIONS_MISSING", message: expect.stringContaining(key) as string },
    });
    for (const partition of [0, 1, 2, 3]) await next.write(resumed, partition);
    expect((await next.finalize(resumed)).batch.state).toBe("committed");
    expect(landed.get(0)).toEqual(ALL);
  });
});
