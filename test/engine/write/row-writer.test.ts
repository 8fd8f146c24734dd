import { describe, expect, it } from "vitest";
import type { BatchContext, TaskContext } from "../../../shared/contract/context.ts";
import { DataSource } from "../../../shared/contract/data-source.ts";
import { type Pipeline, pipeline } from "../../../shared/contract/pipeline.ts";
import { DataSourceStreamReader, type NamedRow, type Row } from "../../../shared/contract/stream-reader.ts";
import {
  DataSourceStreamWriter,
  type SupportsCommitLookup,
  type SupportsTaskAbort,
  type SupportsVacuum,
  type VacuumContext,
} from "../../../shared/contract/stream-writer.ts";
import { vacuum } from "../../../shared/engine/vacuum.ts";
import { EngineWorld } from "../../support/engine.ts";

type Message = { partition: number; rows: number };

/**
 * Returns a pipeline of one batch that a writer of rows writes, with one partition per list of
 * rows. `calls` records the calls of the writer, and `script` changes its behaviour.
 */
function written(schema: string, partitions: readonly (readonly Row[])[]) {
  const calls: (readonly [string, unknown])[] = [];
  const seen: NamedRow[] = [];
  const script = {
    stopAfter: Number.POSITIVE_INFINITY,
    commitFails: false,
    hasLanded: false,
    swallows: false,
    readFails: false,
  };
  class Reader extends DataSourceStreamReader<{ n: number }, number> {
    override initialOffset() {
      return { n: 0 };
    }
    override latestOffset() {
      return { n: 1 };
    }
    override partitions() {
      return [...partitions.keys()];
    }
    override *read(index: number) {
      yield* partitions[index] ?? [];
      if (script.readFails) throw new Error("the source is tired");
    }
  }
  class Writer
    extends DataSourceStreamWriter<Message>
    implements SupportsTaskAbort<Message>, SupportsCommitLookup, SupportsVacuum
  {
    override async write(rows: AsyncIterable<NamedRow>, task: TaskContext) {
      let count = 0;
      try {
        for await (const row of rows) {
          seen.push(row);
          if (++count >= script.stopAfter) break;
        }
      } catch (error) {
        if (!script.swallows) throw error;
      }
      return { partition: task.partitionId, rows: count };
    }
    override commit(messages: readonly (Message | null)[], batchId: number, batch: BatchContext) {
      calls.push(["commit", { messages, batchId, attempt: batch.attempt }]);
      if (script.commitFails) throw new Error("the table is locked");
    }
    override abort(messages: readonly (Message | null)[], batchId: number, batch: BatchContext) {
      calls.push(["abort", { messages, batchId, attempt: batch.attempt }]);
    }
    abortTask(message: Message | null) {
      calls.push(["abortTask", message]);
    }
    hasCommitted(batchId: number) {
      calls.push(["hasCommitted", batchId]);
      return script.hasLanded;
    }
    async vacuum(context: VacuumContext) {
      calls.push(["vacuum", await context.readOpenBatch()]);
      return { files: 1, bytes: 2 };
    }
  }
  class Source extends DataSource {
    override schema() {
      return schema;
    }
    override streamReader() {
      return new Reader();
    }
  }
  class Sink extends DataSource {
    override streamWriter() {
      return new Writer();
    }
  }
  const definition = pipeline("numbers").readStream.format(Source).writeStream.format(Sink);
  return { calls, seen, script, definition: definition as unknown as Pipeline };
}

const ROWS = [[[1n], [2n]], [[3n]]];

describe("a writer of rows", () => {
  it("A writer of rows gets each row as an object by field name, with values as JSON has them", async () => {
    const schema = [
      ...["flag boolean", "tiny tinyint", "small smallint", "whole int", "long bigint", "beyond bigint"],
      ...["half float", "real double", "price decimal(10,2)", "text string", "bytes binary", "day date"],
      ...["at timestamp", "local timestamp_ntz", "tags array<string>", "counts map<string,int>"],
      ...["place struct<x:double,y:double>", "nothing string"],
    ].join(", ");
    const at = new Date("2026-11-21T03:04:05.678Z");
    const row = {
      ...{ flag: true, tiny: 1, small: 2, whole: 3, long: 4n, beyond: 2n ** 60n, half: 0.5, real: 1.25 },
      ...{ price: "12.30", text: "a", bytes: new Uint8Array([1, 2, 3]), day: "2026-11-21", at },
      ...{ local: "2026-11-21T03:04:05.678901", tags: ["x", null], counts: { a: 1 } },
      ...{ place: { x: 1, y: 2 }, nothing: null },
    };
    const { seen, definition } = written(schema, [[row]]);
    await (await new EngineWorld().run(definition, "a")).batch();
    expect(seen).toEqual([
      {
        ...{ flag: true, tiny: 1, small: 2, whole: 3, long: 4, beyond: "1152921504606846976" },
        ...{ half: 0.5, real: 1.25, price: "12.30", text: "a", bytes: "AQID", day: "2026-11-21" },
        ...{ at: "2026-11-21T03:04:05.678Z", local: "2026-11-21T03:04:05.678901", tags: ["x", null] },
        ...{ counts: { a: 1 }, place: { x: 1, y: 2 }, nothing: null },
      },
    ]);
  });

  it("A writer of rows is committed with its messages in partition order and its rows counted", async () => {
    const { calls, definition } = written("id bigint", ROWS);
    const ended = await (await new EngineWorld().run(definition, "a")).batch();
    expect(ended?.batch).toMatchObject({ state: "committed", progress: { rows: 3 } });
    const messages = [
      { partition: 0, rows: 2 },
      { partition: 1, rows: 1 },
    ];
    expect(calls).toEqual([["commit", { messages, batchId: 0, attempt: 1 }]]);
  });

  it("A writer of rows may stop in the middle, and its task says so", async () => {
    const { seen, script, definition } = written("id bigint", ROWS);
    script.stopAfter = 1;
    const run = await new EngineWorld().run(definition, "a");
    const planned = await run.plan();
    expect([await run.write(planned, 0), await run.write(planned, 1)]).toMatchObject([
      { rows: 2, unread: true },
      { rows: 1, unread: true },
    ]);
    expect((await run.finalize(planned)).batch.state).toBe("committed");
    expect(seen).toEqual([{ id: 1 }, { id: 3 }]);
  });

  it("A writer that takes all rows, or has none to take, does not count as stopped", async () => {
    const run = await new EngineWorld().run(written("id bigint", ROWS).definition, "a");
    expect(await run.write(await run.plan(), 0)).not.toHaveProperty("unread");
    const empty = await new EngineWorld().run(written("id bigint", []).definition, "a");
    expect(await empty.write(await empty.plan(), 0)).not.toHaveProperty("unread");
  });

  it("A writer of rows does not get its task recorded if it swallows the source's error", async () => {
    const { calls, script, definition } = written("id bigint", [[[1n]]]);
    Object.assign(script, { readFails: true, swallows: true });
    const ended = await (await new EngineWorld().run(definition, "a")).batch();
    expect(ended?.batch.state).toBe("aborted");
    expect(calls.map(([call]) => call)).toEqual(["abortTask", "hasCommitted", "abort"]);
  });

  it("A writer of rows drops its staged rows if another attempt of the task was recorded", async () => {
    const { calls, definition } = written("id bigint", [[[1n]]]);
    const world = new EngineWorld();
    const run = await world.run(definition, "a");
    const planned = await run.plan();
    const { ledger } = run.ports;
    const { task } = ledger;
    // Both attempts begin before one of them is recorded.
    ledger.task = async () => undefined;
    await run.write(planned, 0, 0);
    expect(await run.write(planned, 0, 1)).toMatchObject({ won: false });
    ledger.task = task;
    expect(calls).toEqual([["abortTask", { partition: 0, rows: 1 }]]);
  });

  it("A writer of rows is asked whether a failed commit took effect, and the batch is committed or aborted", async () => {
    for (const hasLanded of [true, false]) {
      const { calls, script, definition } = written("id bigint", ROWS);
      Object.assign(script, { commitFails: true, hasLanded });
      const ended = await (await new EngineWorld().run(definition, "a")).batch();
      expect(ended?.batch.state).toBe(hasLanded ? "committed" : "aborted");
      const names = calls.map(([call]) => call);
      expect(names).toEqual(["commit", "hasCommitted", ...(hasLanded ? [] : ["abort"])]);
    }
  });

  it("A writer of rows can vacuum", async () => {
    const { calls, definition } = written("id bigint", ROWS);
    const run = await new EngineWorld().run(definition, "a");
    await run.plan();
    const { staged } = await vacuum(run.sessions, run.ports, { olderThan: 0, dryRun: false });
    expect(staged).toEqual({ files: 1, bytes: 2 });
    const open = { batchId: 0, attempt: 1, aborted: false, lastTriedAttempt: 0 };
    expect(calls).toEqual([["vacuum", open]]);
  });
});
