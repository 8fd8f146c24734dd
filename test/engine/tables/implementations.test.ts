import { describe, expect, it } from "vitest";
import { Memory, MemoryStream } from "../../../shared/connectors/memory/index.ts";
import type { DataSource, DataSourceClass } from "../../../shared/contract/data-source.ts";
import { pipeline } from "../../../shared/contract/pipeline.ts";
import type { SupportsWrite } from "../../../shared/contract/write/table.ts";
import { Write } from "../../../shared/contract/write/write.ts";
import { runPipeline } from "../../../shared/testing/run-pipeline.ts";
import { recordingTable } from "../../support/recording-table.ts";

class Bare extends Write {}

describe("objects that lack methods", () => {
  it.each<[string, string, (table: SupportsWrite) => object]>([
    ["table() gave undefined", "SupportsWrite", () => undefined as never],
    [
      "build() gave an object that does not extend Write: it has no toBatch()",
      "Write",
      (table) => ({ ...table, newWriteBuilder: () => ({ build: () => ({}) }) }),
    ],
    [
      "toBatch() gave an object, which has no createBatchWriterFactory()",
      "createBatchWriterFactory",
      (table) => ({
        ...table,
        newWriteBuilder: () => ({ build: () => Object.assign(new Bare(), { toBatch: () => ({}) }) }),
      }),
    ],
  ])("A step that gets a wrong object says which: %s", async (message, base, broken) => {
    const { dataSource } = recordingTable();
    class Broken extends (dataSource as unknown as typeof DataSource<object>) {
      override table(): SupportsWrite {
        const table = (super.table as unknown as () => SupportsWrite).call(this);
        return broken(table) as SupportsWrite;
      }
    }
    new MemoryStream("wrong", "id int").addData([{ id: 1 }]);
    const source = pipeline("wrong").read.format(Memory).options({ stream: "wrong" });
    const sink = source.write.format(Broken as unknown as DataSourceClass<object>);
    await expect(runPipeline(sink.mode("append"))).rejects.toMatchObject({
      code: "WRITER_INVALID",
      message: expect.stringContaining(message) as string,
      hint: expect.stringContaining(base) as string,
    });
  });
});
