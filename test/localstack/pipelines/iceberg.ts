import { type BatchContext, pipeline, type TaskContext } from "millrace";
import { Iceberg } from "millrace/connectors/iceberg";
import type { StreamingWrite, SupportsWrite } from "millrace/write";
import { ask, batchOf, Numbers, name, placeOf } from "./numbers.ts";

/**
 * The numbers of numbers.ts into an Iceberg table, whose catalog is in PostgreSQL and whose files
 * are in a bucket of their own. The control server of the test decides what happens at each call.
 */
class Table extends Iceberg {
  override table(...args: Parameters<Iceberg["table"]>): SupportsWrite {
    const table = super.table(...args);
    const { runtime } = this;
    const { newWriteBuilder } = table;
    table.newWriteBuilder = (info) => {
      const builder = newWriteBuilder.call(table, info);
      const { build } = builder;
      builder.build = async () => {
        const write = await build.call(builder);
        if (write === undefined) return undefined;
        const { toStreaming } = write;
        write.toStreaming = async () => watched(await toStreaming.call(write), runtime);
        return write;
      };
      return builder;
    };
    return table;
  }
}

function watched(write: StreamingWrite<unknown>, runtime: Iceberg["runtime"]): StreamingWrite<unknown> {
  const { commit, restoreStreamingWriterFactory: restore } = write;
  write.commit = async (epochId, messages, batch: BatchContext) => {
    await ask(runtime, { call: "before commit", ...batchOf(batch) });
    await commit.call(write, epochId, messages, batch);
    await ask(runtime, { call: "after commit", ...batchOf(batch) });
  };
  write.restoreStreamingWriterFactory = async (fields) => {
    const factory = await restore?.call(write, fields);
    if (factory === undefined) throw new Error("the write restores no factory");
    const { createWriter } = factory;
    factory.createWriter = async (partitionId, taskId, epochId, task: TaskContext) => {
      const writer = await createWriter.call(factory, partitionId, taskId, epochId, task);
      const { commit: staged } = writer;
      writer.commit = async () => {
        const message = await staged.call(writer);
        await ask(runtime, { call: "staged", ...placeOf(task) });
        return message;
      };
      return writer;
    };
    return factory;
  };
  return write;
}

export default pipeline(name)
  .readStream.format(Numbers)
  .writeStream.format(Table)
  .options({
    table: "shop.numbers",
    location: "s3://millrace-tests-iceberg/shop/numbers",
    catalog: {
      type: "postgres",
      url: { env: "ICEBERG_CATALOG" },
      warehouse: "s3://millrace-tests-iceberg",
    },
  });
