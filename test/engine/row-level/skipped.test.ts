import { Schema } from "apache-arrow";
import { expect, it } from "vitest";
import { Memory, MemoryStream, memoryTable } from "../../../shared/connectors/memory/index.ts";
import type { BatchContext } from "../../../shared/contract/context.ts";
import { parseOptions } from "../../../shared/contract/options/parse.ts";
import { type Pipeline, pipeline } from "../../../shared/contract/pipeline.ts";
import type { RowCommand } from "../../../shared/contract/row-command.ts";
import type { BatchWrite } from "../../../shared/contract/write/batch-write.ts";
import type { LogicalWriteInfo } from "../../../shared/contract/write/write-info.ts";
import { openCommand } from "../../../shared/engine/row-level/open-command.ts";
import type { EngineTable } from "../../../shared/engine/sessions/engine-write.ts";
import { runPipeline } from "../../../shared/testing/index.ts";
import { batchFields } from "../../support/batch-context.ts";
import { EngineWorld } from "../../support/engine.ts";

it.each(["delta", "group"] as const)(
  "A command that was skipped by hand changes nothing in the %s form, and neither does a delete",
  async (rowLevel) => {
    const table = `skipped-${rowLevel}`;
    new MemoryStream(table, "id int not null").addData([{ id: 1 }, { id: 2 }]);
    const reading = pipeline("fill").read.format(Memory).options({ stream: table });
    await runPipeline(reading.write.format(Memory).options({ table }).mode("append"));
    const target = pipeline("skipped").table(Memory, { table, rowLevel });
    for (const definition of [target.deleteWhere(), target.update({ set: { id: 7 } })]) {
      const command = definition.command as RowCommand;
      const opened = await openCommand(
        definition as unknown as Pipeline,
        command,
        new EngineWorld().ports(),
        async ({ dataSource, options }) => (await parseOptions(dataSource, options)) as object,
      );
      const source = new opened.pipeline.sink.dataSource({} as never, {} as never);
      const made = (await source.table?.(new Schema([]))) as EngineTable;
      const info = { queryId: "q", schema: new Schema([]), options: {}, plannedAt: 0 } as LogicalWriteInfo;
      const write = await made.newWriteBuilder(info, { isSkipped: true }).build();
      const batch = { pipeline: "skipped", ...batchFields(), continuity: "independent" };
      const toCommit = (await write?.toBatch()) as BatchWrite | undefined;
      await toCommit?.commit([], undefined, batch as unknown as BatchContext);
      expect(toCommit).toBeDefined();
      expect(memoryTable(table).rows()).toEqual([{ id: 1 }, { id: 2 }]);
    }
  },
);
