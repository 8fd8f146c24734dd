import { describe, expect, it } from "vitest";
import { DataSourceReader } from "../../../shared/contract/batch-reader.ts";
import { DataSource } from "../../../shared/contract/data-source.ts";
import { pipeline } from "../../../shared/contract/pipeline.ts";
import { Desk, plain, sinkOf } from "./desk.ts";

describe("a batch pipeline", () => {
  it("A batch pipeline has one batch per run and makes the contract's calls in Spark's order", async () => {
    const desk = new Desk();
    const ended = await (await desk.run("a")).batch();
    expect(ended?.batch).toMatchObject({ state: "committed", batchId: 0, attempt: 1, progress: { rows: 4 } });
    expect(desk.names).toEqual([
      ...["schema", "partitions"],
      // The first writer is only asked whether the target takes the rows.
      "writer",
      ...["writer", "read", "write", "writer", "read", "write"],
      ...["writer", "commit", "commit: return"],
    ]);
    const messages = [
      [0, 1],
      [2, 3],
    ];
    expect(desk.args("commit")).toEqual([{ messages, batchId: 0, attempt: 1 }]);
    expect(desk.ids).toEqual([0, 1, 2, 3]);
  });

  it("A batch pipeline appends once per run, under ids that go up by one", async () => {
    const desk = new Desk();
    for (let i = 0; i < 2; i++) await (await desk.run("a")).batch();
    expect(desk.ids).toEqual([0, 1, 2, 3, 0, 1, 2, 3]);
    expect(desk.table.map(({ batchId }) => batchId)).toEqual([0, 1]);
    expect(desk.args("writer")).not.toContainEqual({ overwrite: true });
  });

  it("A batch pipeline tells each of its writers whether it overwrites", async () => {
    const desk = new Desk({ mode: "overwrite" });
    await (await desk.run("a")).batch();
    desk.script.slices = [{ from: 7, to: 9 }];
    await (await desk.run("a")).batch();
    expect(desk.ids).toEqual([7, 8]);
    expect(desk.args("writer")).not.toContainEqual({ overwrite: false });
  });

  it.each(["arrow", "rows", "stream arrow", "stream rows"] as const)(
    "A batch pipeline is written by a writer of the form %s",
    async (form) => {
      const desk = new Desk({ form });
      desk.script.fault = (call, args) => {
        if (call === "write" && (args as { partition: number }).partition === 1) throw new Error("disk full");
      };
      expect((await (await desk.run("a")).batch())?.batch.state).toBe("aborted");
      desk.script.fault = () => undefined;
      expect((await (await desk.run("a")).batch())?.batch.state).toBe("committed");
      expect(desk.args("abort")).toEqual([{ messages: [[0, 1], null], batchId: 0, attempt: 1 }]);
      expect(desk.args("commit")).toMatchObject([{ batchId: 0, attempt: 2 }]);
      expect(desk.ids).toEqual([0, 1, 2, 3]);
    },
  );

  it("A batch pipeline without partitions runs one task without rows for its sink", async () => {
    const desk = new Desk({ slices: [] });
    const ended = await (await desk.run("a")).batch();
    expect(ended?.batch).toMatchObject({ state: "committed", tasks: 1 });
    expect(desk.args("commit")).toEqual([{ messages: [[]], batchId: 0, attempt: 1 }]);
    expect(desk.names).not.toContain("read");
  });

  it("A batch pipeline reads one partition, null, if its reader has no method partitions", async () => {
    const asked: unknown[] = [];
    class Reader extends DataSourceReader {
      override read(partition: unknown) {
        asked.push(partition);
        return [[1], [2]];
      }
    }
    class One extends DataSource {
      override schema = () => "id bigint";
      override reader = () => new Reader();
    }
    const desk = new Desk();
    const definition = pipeline("numbers").read.format(One).write.format(sinkOf(desk)).mode("append");
    await (await desk.world.run(plain(definition), "a")).batch();
    expect(asked).toEqual([null]);
    expect(desk.ids).toEqual([1, 2]);
  });
});
