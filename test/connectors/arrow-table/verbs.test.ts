import { describe, expect, it } from "vitest";
import { rowsOf } from "../../../shared/arrow/rows.ts";
import { ArrowTable, type ArrowTableOptions } from "../../../shared/connectors/arrow-table/index.ts";
import { readTable } from "../../../shared/connectors/arrow-table/read.ts";
import { Memory, MemoryStream, memoryTable } from "../../../shared/connectors/memory/index.ts";
import { EqualTo } from "../../../shared/contract/filters.ts";
import { type BatchPipeline, type Pipeline, pipeline } from "../../../shared/contract/pipeline.ts";
import type { NamedRow } from "../../../shared/contract/stream-reader.ts";
import { DirectoryStore } from "../../../shared/platform/embedded/directory-store.ts";
import { checkSink, runPipeline } from "../../../shared/testing/index.ts";
import { temporaryFolder } from "../../support/folder.ts";

const DDL = "id int NOT NULL, p string";
const NEW = { id: 9, p: "a" };
let names = 0;

/** A table in memory that pipelines write to, one after the other. */
class Scene {
  readonly #path = `memory:table-${names++}`;
  readonly #options: ArrowTableOptions;
  #surroundings: Awaited<ReturnType<typeof runPipeline>> | undefined;

  constructor(options: ArrowTableOptions = {}) {
    this.#options = { path: this.#path, ...options };
  }

  async run(change: (definition: BatchPipeline<never>) => Pipeline, ...rows: NamedRow[]): Promise<void> {
    const stream = `rows-${names++}`;
    new MemoryStream(stream, DDL).addData(rows);
    const definition = pipeline("writer")
      .read.format(Memory)
      .options({ stream, numPartitions: 2 })
      .write.format(ArrowTable)
      .options(this.#options);
    const after = this.#surroundings === undefined ? {} : { after: this.#surroundings };
    this.#surroundings = await runPipeline(change(definition as unknown as BatchPipeline<never>), after);
  }

  async fill(): Promise<void> {
    const rows = [
      { id: 1, p: "a" },
      { id: 2, p: "b" },
      { id: 3, p: null },
    ];
    await this.run((definition) => definition.mode("append"), ...rows);
  }

  /** Reads the table by a pipeline to memory. */
  async ids(): Promise<unknown[]> {
    const table = `copy-${names++}`;
    const definition = pipeline("writer")
      .read.format(ArrowTable)
      .options(this.#options)
      .write.format(Memory)
      .options({ table })
      .mode("append");
    await runPipeline(definition, this.#surroundings === undefined ? {} : { after: this.#surroundings });
    return memoryTable(table)
      .rows()
      .map(({ id }) => id);
  }
}

describe("the verbs of a pipeline to an Arrow table", () => {
  it("An overwrite of partitions of an Arrow table replaces whole partitions", async () => {
    const scene = new Scene({ partitionBy: ["p"] });
    await scene.fill();
    await scene.run((definition) => definition.overwritePartitions(), NEW, { id: 10, p: null });
    expect(await scene.ids()).toEqual([2, 9, 10]);
  });

  it("A truncate of an Arrow table replaces all rows", async () => {
    const scene = new Scene({ partitionBy: ["p"] });
    await scene.fill();
    await scene.run((definition) => definition.truncate(), NEW);
    expect(await scene.ids()).toEqual([9]);
  });

  it.each([
    ["by filter", {}, (one: BatchPipeline<never>) => one.overwrite(new EqualTo("p", "a")), "Iceberg"],
    [
      "of partitions that it does not have",
      {},
      (one: BatchPipeline<never>) => one.overwritePartitions(),
      "partitionBy",
    ],
  ])(
    "An overwrite %s is refused before anything is read, with a way out",
    async (_what, options, change, hint) => {
      const scene = new Scene(options);
      await scene.fill();
      await expect(scene.run(change, NEW)).rejects.toMatchObject({
        code: "WRITE_NOT_SUPPORTED",
        hint: expect.stringContaining(hint) as string,
      });
      expect(await scene.ids()).toEqual([1, 2, 3]);
    },
  );

  it("A partition column that the rows lack is refused before anything is read", async () => {
    const scene = new Scene({ partitionBy: ["q"] });
    await expect(scene.fill()).rejects.toMatchObject({ code: "OPTIONS_INVALID" });
  });

  it("A stream in complete mode leaves the rows of its last batch", async () => {
    const stream = new MemoryStream(`rows-${names++}`, DDL);
    stream.addData([1, 2, 3].map((id) => ({ id, p: "a" })));
    const definition = pipeline("completer")
      .readStream.format(Memory)
      .options({ stream: stream.name, maxRowsPerBatch: 2 })
      .writeStream.format(ArrowTable)
      .outputMode("complete");
    const { store } = await runPipeline(definition as unknown as Pipeline);
    const entries = await Array.fromAsync(store.list("table/_log/"));
    expect(entries).toHaveLength(2);
    const entry = JSON.parse(Buffer.from((await store.get(entries[1]?.key ?? "")) ?? []).toString()) as {
      operation: string;
      remove: unknown[];
    };
    expect(entry).toMatchObject({ operation: "overwrite", remove: [{}] });
  });

  it("An Arrow table with partitions has none of the known traps of a sink", async () => {
    const path = temporaryFolder();
    const readBack = async () => {
      const batches = await Array.fromAsync(readTable(new DirectoryStore(path)));
      return batches.flatMap((batch) => [...rowsOf(batch)]);
    };
    const { notChecked } = await checkSink(ArrowTable, { options: { path, partitionBy: ["id"] }, readBack });
    expect(notChecked).toEqual(["overwrite by filter: the table does not support it"]);
  });
});
