import { describe, expect, it } from "vitest";
import { Memory, MemoryStream, memoryTable } from "../../../shared/connectors/memory/index.ts";
import type { DataSourceWriter } from "../../../shared/contract/batch-writer.ts";
import { DataSource, type DataSourceClass } from "../../../shared/contract/data-source.ts";
import { type Pipeline, pipeline } from "../../../shared/contract/pipeline.ts";
import type { OnSchemaChange } from "../../../shared/contract/write/write-info.ts";
import { runPipeline } from "../../../shared/testing/run-pipeline.ts";
import { type Recording, recordingTable } from "../../support/recording-table.ts";

const CHOICES: readonly OnSchemaChange[] = ["fail", "evolve", "ignore"];
const EVOLVES = ["BATCH_WRITE", "STREAMING_WRITE", "AUTOMATIC_SCHEMA_EVOLUTION"] as const;

/** Pipelines of one row with the columns `id` and `extra`, of both kinds. */
function pipelines(
  sink: DataSourceClass<object>,
  options: object,
  choice: OnSchemaChange | undefined,
): readonly Pipeline[] {
  new MemoryStream("with-extra", "id int, extra string").addData([{ id: 1, extra: "x" }]);
  const start = pipeline("changes");
  const source = { stream: "with-extra" };
  const batch = start.read.format(Memory).options(source).write.format(sink).options(options).mode("append");
  const stream = start.readStream.format(Memory).options(source).writeStream.format(sink).options(options);
  const both =
    choice === undefined ? [batch, stream] : [batch, stream].map((one) => one.onSchemaChange(choice));
  return both as unknown as readonly Pipeline[];
}

async function run(settings: Partial<Recording>, choice: OnSchemaChange | undefined) {
  return await Promise.all(
    [0, 1].map(async (kind) => {
      const { recording, dataSource } = recordingTable(settings);
      const error = await runPipeline(pipelines(dataSource, {}, choice)[kind] as Pipeline).then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      return { recording, error };
    }),
  );
}

/** Returns the columns of the rows, as each step told the table. */
function columnsOf({ infos }: Recording): readonly string[] {
  return [...new Set(infos.flatMap(({ schema }) => schema.fields.map(({ name }) => name)))];
}

/** Returns the number of rows of each commit. */
function rowsWritten({ calls }: Recording): readonly number[] {
  return calls.flatMap((call) => (/^commit .*"rows":(\d+)/.exec(call) ?? []).slice(1).map(Number));
}

describe("the choice for other columns, as a table learns it", () => {
  it.each(CHOICES)("Each step of a batch learns the choice %s, in batches and in streams", async (choice) => {
    for (const { recording, error } of await run({ capabilities: EVOLVES }, choice)) {
      expect(error).toBeUndefined();
      expect(recording.infos.length).toBeGreaterThan(2);
      expect(recording.infos.map(({ onSchemaChange }) => onSchemaChange)).toEqual(
        recording.infos.map(() => choice),
      );
    }
  });

  it("A pipeline without the choice leaves it out of the information for the table", async () => {
    for (const { recording } of await run({ capabilities: EVOLVES }, undefined)) {
      expect(recording.infos.length).toBeGreaterThan(2);
      expect(recording.infos.filter((info) => "onSchemaChange" in info)).toEqual([]);
    }
  });

  it.each(["evolve", "ignore"] as const)(
    "A table with columns that can evolve gets the other columns of the rows with the choice %s",
    async (choice) => {
      for (const { recording, error } of await run({ capabilities: EVOLVES, schema: "id int" }, choice)) {
        expect(error).toBeUndefined();
        expect(columnsOf(recording)).toEqual(["id", "extra"]);
        expect(rowsWritten(recording)).toEqual([1]);
      }
    },
  );

  it.each(["fail", undefined] as const)(
    "A column that the table lacks is refused by its name with the choice %s, whatever the table can do",
    async (choice) => {
      for (const { recording, error } of await run({ capabilities: EVOLVES, schema: "id int" }, choice)) {
        expect(error).toMatchObject({
          code: "COLUMNS_NOT_MATCHED",
          message: expect.stringContaining('"extra" is not in the table') as string,
        });
        expect(recording.calls).toEqual([]);
      }
    },
  );
});

describe("the choice for other columns, of a sink that cannot evolve", () => {
  it.each(["evolve", "ignore"] as const)(
    "A table without the capability refuses the choice %s before a builder is made",
    async (choice) => {
      for (const { recording, error } of await run({}, choice)) {
        expect(error).toMatchObject({
          code: "WRITE_NOT_SUPPORTED",
          message: `table "t" does not support .onSchemaChange("${choice}")`,
          hint: expect.stringContaining(`Remove \`.onSchemaChange("${choice}")\``) as string,
        });
        expect(recording.calls).toEqual([]);
      }
    },
  );

  it("A table without the capability takes the choice fail, which each sink does today", async () => {
    for (const { recording, error } of await run({}, "fail")) {
      expect(error).toBeUndefined();
      expect(rowsWritten(recording)).toEqual([1]);
    }
  });

  it("A sink with a writer in the form of PySpark's API refuses the choice before its writer is made", async () => {
    let made = 0;
    class Plain extends DataSource<object> {
      override writer(): DataSourceWriter {
        made++;
        throw new Error("a writer was made");
      }
    }
    const [batch] = pipelines(Plain, {}, "evolve");
    await expect(runPipeline(batch as Pipeline)).rejects.toMatchObject({ code: "WRITE_NOT_SUPPORTED" });
    expect(made).toBe(0);
  });

  it("A table in memory, which keeps any row, says that the choice would change nothing", async () => {
    const options = { table: "keeps-all" };
    for (const one of pipelines(Memory as unknown as DataSourceClass<object>, options, "evolve"))
      await expect(runPipeline(one)).rejects.toMatchObject({
        code: "WRITE_NOT_SUPPORTED",
        hint: expect.stringContaining("keeps each row as it is") as string,
      });
    expect(memoryTable("keeps-all").rows()).toEqual([]);
  });
});
