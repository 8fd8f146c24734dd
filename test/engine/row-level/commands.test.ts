// biome-ignore-all lint/suspicious/noThenProperty: clauses have this word of SQL
import { describe, expect, it } from "vitest";
import {
  Memory,
  type MemoryOptions,
  MemoryStream,
  memoryTable,
} from "../../../shared/connectors/memory/index.ts";
import { type BatchPipeline, type Pipeline, pipeline } from "../../../shared/contract/pipeline.ts";
import type { TableTarget } from "../../../shared/contract/table-target.ts";
import { literal, predicate, reference, scalar, source } from "../../../shared/contract/write/predicates.ts";
import type { RowLevelOperation } from "../../../shared/contract/write/row-level.ts";
import type { SupportsWrite } from "../../../shared/contract/write/table.ts";
import { type PipelineRun, runPipeline } from "../../../shared/testing/run-pipeline.ts";

const DDL = "id int not null, v int, name string";
let names = 0;

/** A table in memory with the rows 1 10 a, 2 null b, 3 30 null, in two files. */
class Scene {
  readonly name = `commands-${names++}`;
  readonly options: MemoryOptions;
  readonly #dataSource: typeof Memory;

  constructor(options: MemoryOptions = {}, dataSource: typeof Memory = RowsOnly) {
    this.options = { schema: DDL, ...options, table: this.name };
    this.#dataSource = dataSource;
  }

  async fill(): Promise<this> {
    await this.append({ id: 1, v: 10, name: "a" }, { id: 2, v: null, name: "b" });
    await this.append({ id: 3, v: 30, name: null });
    return this;
  }

  read(rows: readonly object[], ddl: string = DDL, numPartitions = 2) {
    const stream = `${this.name}-${names++}`;
    new MemoryStream(stream, ddl).addData(rows as never);
    return pipeline(`p-${names++}`).read.format(Memory).options({ stream, numPartitions }) as never;
  }

  async append(...rows: readonly object[]): Promise<void> {
    const reading = this.read(rows, DDL, 1) as unknown as ReturnType<typeof typed>;
    await runPipeline(reading.write.format(Memory).options({ table: this.name }).mode("append"));
  }

  get target(): TableTarget<BatchPipeline> {
    return pipeline(`p-${names++}`).table(this.#dataSource, this.options);
  }

  get rows(): readonly object[] {
    return memoryTable(this.name)
      .rows()
      .toSorted((a, b) => Number(a["id"]) - Number(b["id"]));
  }

  get summary() {
    return memoryTable(this.name).batches().at(-1)?.summary;
  }
}

const typed = (stream: string) => pipeline("typed").read.format(Memory).options({ stream });

/** A table that cannot delete by itself. */
class RowsOnly extends Memory {
  static override readonly name: string = "rows-only";

  override table(schema: never): SupportsWrite {
    const table = super.table(schema);
    for (const method of ["deleteWhere", "truncateTable"])
      Object.defineProperty(table, method, { value: undefined });
    return table;
  }
}

async function run(definition: BatchPipeline | Pipeline, after?: PipelineRun): Promise<PipelineRun> {
  return await runPipeline(definition as Pipeline, after === undefined ? {} : { after });
}

const CHANGED = { id: 2, v: null, name: "b" };
const FORMS: readonly MemoryOptions[] = [
  { rowLevel: "delta" },
  { rowLevel: "delta", rowId: ["id"] },
  { rowLevel: "group" },
];

describe.each(FORMS)("A command on a table with the options %j", (options) => {
  it("An update changes only rows for which its condition is true, and not those for which it is unknown", async () => {
    const scene = await new Scene(options).fill();
    await run(
      scene.target.update({ set: { name: "x" }, where: predicate(">", reference("v"), literal(10)) }),
    );
    expect(scene.rows).toEqual([{ id: 1, v: 10, name: "a" }, CHANGED, { id: 3, v: 30, name: "x" }]);
    expect(scene.summary).toMatchObject({ kind: "UpdateSummary", numUpdatedRows: 1 });
  });

  it("A delete without a condition empties the table", async () => {
    const scene = await new Scene(options).fill();
    await run(scene.target.deleteWhere());
    expect(scene.rows).toEqual([]);
  });

  it("New values are computed from the old row, and stored in the types of the columns", async () => {
    const scene = await new Scene(options).fill();
    const v = scalar("+", reference("v"), literal(1));
    await run(scene.target.update({ set: { v, id: scalar("*", reference("id"), literal(2)), NAME: "n" } }));
    expect(scene.rows).toEqual([
      { id: 2, v: 11, name: "n" },
      { id: 4, v: null, name: "n" },
      { id: 6, v: 31, name: "n" },
    ]);
  });

  it("A null in a column that is NOT NULL fails the task, and leaves the table as it was", async () => {
    const scene = await new Scene(options).fill();
    const before = scene.rows;
    const running = run(scene.target.update({ set: { id: reference("v") } }));
    await expect(running).rejects.toMatchObject({ code: "ROW_MISMATCH", where: { field: "id" } });
    expect(scene.rows).toEqual(before);
  });

  it("A merge finds partners over all partitions of both sides, and acts by the first clause that holds", async () => {
    const scene = await new Scene(options).fill();
    const rows = [
      { id: 1, v: 100, name: "u" },
      { id: 3, v: 0, name: "d" },
      { id: 7, v: 7, name: "i" },
      { id: 8, v: 8, name: "n" },
    ];
    const isNamed = (name: string) => predicate("=", source("name"), literal(name));
    await run(
      scene.target.merge(scene.read(rows), {
        on: ["id"],
        whenMatched: [
          { when: isNamed("d"), then: "delete" },
          { then: "update", set: { v: source("v") } },
        ],
        whenNotMatched: [{ when: isNamed("i"), then: "insert", set: "*" }],
        whenNotMatchedBySource: [{ then: "update", set: { name: "alone" } }],
      }),
    );
    expect(scene.rows).toEqual([
      { id: 1, v: 100, name: "a" },
      { id: 2, v: null, name: "alone" },
      { id: 7, v: 7, name: "i" },
    ]);
    expect(scene.summary).toMatchObject({
      numTargetRowsMatchedUpdated: 1,
      numTargetRowsMatchedDeleted: 1,
      numTargetRowsInserted: 1,
      numTargetRowsNotMatchedBySourceUpdated: 1,
    });
  });

  it("A condition about both sides keeps both parts, also where their columns have one name", async () => {
    const scene = await new Scene(options).fill();
    const isTen = (column: ReturnType<typeof source>) => predicate("=", column, literal(10));
    const merged = scene.target.merge(scene.read([{ id: 1, v: 11, name: "x" }]), {
      on: ["id"],
      whenMatched: [
        // Of the row of the table it is true, of that of the source false.
        { when: predicate("AND", isTen(reference("v")), isTen(source("v"))), then: "delete" },
        { when: predicate("OR", isTen(source("v")), isTen(reference("v"))), then: "update", set: "*" },
      ],
    });
    await runPipeline(merged);
    expect(scene.rows[0]).toEqual({ id: 1, v: 11, name: "x" });
    expect(scene.rows).toHaveLength(3);
  });

  it("Nulls of keys match no row, unless they are compared by the operator that is never null", async () => {
    const scene = await new Scene(options).fill();
    const rows = [{ id: 9, v: null, name: "s" }];
    const merge = (name: "=" | "<=>") =>
      scene.target.merge(scene.read(rows), {
        on: predicate(name, reference("v"), source("v")),
        whenMatched: [{ then: "update", set: { name: source("name") } }],
      });
    await run(merge("="));
    expect(scene.rows[1]).toEqual(CHANGED);
    await run(merge("<=>"));
    expect(scene.rows[1]).toEqual({ ...CHANGED, name: "s" });
  });

  it("Two rows of the source for one row of the table fail the batch, and nothing is written", async () => {
    const scene = await new Scene(options).fill();
    const before = scene.rows;
    const rows = [
      { id: 1, v: 1, name: "x" },
      { id: 1, v: 2, name: "y" },
    ];
    const merge = scene.target.merge(scene.read(rows), {
      on: "id",
      whenMatched: [{ then: "update", set: "*" }],
    });
    await expect(run(merge)).rejects.toMatchObject({ code: "MERGE_CARDINALITY_VIOLATION" });
    expect(scene.rows).toEqual(before);
  });

  it("A merge that only inserts appends, and leaves other rows as they are", async () => {
    const scene = await new Scene(options).fill();
    const rows = [
      { id: 1, v: 1, name: "old" },
      { id: 5, v: 5, name: "new" },
    ];
    await run(
      scene.target.merge(scene.read(rows), {
        on: "id",
        whenNotMatched: [{ then: "insert", set: { id: source("id"), name: source("name") } }],
      }),
    );
    expect(scene.rows).toHaveLength(4);
    expect(scene.rows[3]).toEqual({ id: 5, v: null, name: "new" });
    expect(scene.summary).toMatchObject({ kind: "MergeSummary", numTargetRowsInserted: 1 });
  });

  it("A commit is refused if the rows have changed since they were read, and the next run reads them anew", async () => {
    const changing = await new Scene(options).fill();
    let isFirst = true;
    const { options: given } = changing;
    class Disturbed extends RowsOnly {
      static override readonly name: string = "disturbed";

      override table(schema: never): SupportsWrite {
        const table = super.table(schema) as SupportsWrite & {
          newRowLevelOperationBuilder(info: never): { build(): RowLevelOperation };
        };
        const original = table.newRowLevelOperationBuilder.bind(table);
        const newRowLevelOperationBuilder = (info: never) => ({
          build: () =>
            disturbed(original(info).build(), async () => {
              if (!isFirst) return;
              isFirst = false;
              await run(
                pipeline("other")
                  .table(RowsOnly, given)
                  .update({ set: { v: 20 } }),
              );
            }),
        });
        return Object.assign(table, { newRowLevelOperationBuilder });
      }
    }
    const definition = pipeline("disturbed")
      .table(Disturbed, given)
      .update({ set: { v: scalar("+", reference("v"), literal(1)) } });
    const state = await run(
      pipeline("before")
        .table(RowsOnly, given)
        .update({ set: { name: "b" } }),
    );
    const first = { ...state, state: { ...state.state } };
    await expect(run(definition, first)).rejects.toMatchObject({ code: "ROWS_CHANGED" });
    expect(changing.rows.map((row) => (row as { v: number }).v)).toEqual([20, 20, 20]);
    await run(definition, first);
    expect(changing.rows.map((row) => (row as { v: number }).v)).toEqual([21, 21, 21]);
  });
});

/** Calls `change` after the scan is planned, as another pipeline could. */
function disturbed(operation: RowLevelOperation, change: () => Promise<void>): RowLevelOperation {
  const newScanBuilder = operation.newScanBuilder.bind(operation);
  operation.newScanBuilder = (options) => {
    const builder = newScanBuilder(options);
    const build = builder.build.bind(builder);
    builder.build = async () => {
      const scan = await build();
      const toBatch = scan.toBatch.bind(scan);
      scan.toBatch = async () => {
        const batch = await toBatch();
        const plan = batch.planInputPartitions.bind(batch);
        batch.planInputPartitions = async () => {
          const partitions = await plan();
          await change();
          return partitions;
        };
        return batch;
      };
      return scan;
    };
    return builder;
  };
  return operation;
}

describe("What a command refuses before anything is read", () => {
  const refused = async (definition: BatchPipeline) =>
    await run(definition).then(
      () => "nothing",
      (error: { code: string; message: string }) => `${error.code}: ${error.message}`,
    );

  it("A column that is not there, in the table or in the source, is refused", async () => {
    const scene = await new Scene().fill();
    expect(await refused(scene.target.update({ set: { w: 1 } }))).toMatch(/^MERGE_INVALID: .*no column "w"/);
    const where = predicate("=", reference("nme"), literal("x"));
    expect(await refused(scene.target.deleteWhere(where))).toMatch(/^FILTER_INVALID: .*nme/);
    const star = scene.target.merge(scene.read([], "id int not null"), {
      on: "id",
      whenMatched: [{ then: "update", set: "*" }],
    });
    expect(await refused(star)).toMatch(/^MERGE_INVALID: the source has no column "v"/);
  });

  it("A column of the source is refused where there is no row of it", async () => {
    const scene = await new Scene().fill();
    const update = scene.target.update({ set: { v: source("v") } });
    expect(await refused(update)).toMatch(/^MERGE_INVALID: source\("v"\)/);
    const insert = scene.target.merge(scene.read([]), {
      on: "id",
      whenNotMatched: [{ then: "insert", set: { id: reference("id") } }],
    });
    expect(await refused(insert)).toMatch(/^MERGE_INVALID: reference\("id"\)/);
  });

  it("An inserted row needs a value for each column that is NOT NULL", async () => {
    const scene = await new Scene().fill();
    const insert = scene.target.merge(scene.read([]), {
      on: "id",
      whenNotMatched: [{ then: "insert", set: { v: 1 } }],
    });
    expect(await refused(insert)).toMatch(/^MERGE_INVALID: an inserted row has no value for "id"/);
  });

  it("A value that the column cannot store is refused", async () => {
    const scene = await new Scene().fill();
    expect(await refused(scene.target.update({ set: { v: reference("name") } }))).toMatch(
      /^COLUMNS_NOT_MATCHED/,
    );
    expect(await refused(scene.target.update({ set: { v: "many" } }))).toMatch(/^COLUMNS_NOT_MATCHED/);
  });

  it("A row id that may be null is refused", async () => {
    const scene = await new Scene({ rowId: ["v"] }).fill();
    expect(await refused(scene.target.update({ set: { v: 1 } }))).toMatch(
      /^ROW_LEVEL_INVALID: the row id "v"/,
    );
  });

  it("A table that cannot change rows is refused with a hint", async () => {
    class Plain extends RowsOnly {
      static override readonly name: string = "plain";

      override table(schema: never): SupportsWrite {
        const table = super.table(schema);
        return Object.assign(table, { newRowLevelOperationBuilder: undefined });
      }
    }
    const scene = await new Scene({}, Plain).fill();
    expect(await refused(scene.target.update({ set: { v: 1 } }))).toMatch(/^WRITE_NOT_SUPPORTED: .*UPDATE/);
    expect(await refused(scene.target.deleteWhere(predicate("=", reference("v"), literal(1))))).toMatch(
      /^WRITE_NOT_SUPPORTED: .*deletes/,
    );
  });

  it("The source of a merge may be filtered, but not repartitioned", async () => {
    const scene = await new Scene().fill();
    const reading = scene.read([]) as unknown as { repartition(column: string): never };
    const merge = scene.target.merge(reading.repartition("id"), {
      on: "id",
      whenMatched: [{ then: "delete" }],
    });
    expect(await refused(merge)).toMatch(/^MERGE_INVALID: .*repartitioned/);
  });
});

describe("A delete that the table does by itself", () => {
  it("Runs one task without rows, and the commit deletes once however often it is called", async () => {
    const scene = await new Scene({}, Memory).fill();
    const done = await run(scene.target.deleteWhere(predicate("=", reference("id"), literal(1))));
    expect(done.rows).toEqual([]);
    expect(done.batches[0]?.partitions).toBe(1);
    expect(scene.rows).toHaveLength(2);
  });

  it("Keeps rows for which the condition is unknown", async () => {
    const scene = await new Scene({}, Memory).fill();
    await run(scene.target.deleteWhere(predicate("<", reference("v"), literal(100))));
    expect(scene.rows).toEqual([CHANGED]);
  });
});

describe("Runtime filtering of groups", () => {
  it("Only files with a row that matches a row of the source are read and written again", async () => {
    const scene = await new Scene({ rowLevel: "group" }).fill();
    const rows = [{ id: 3, v: 0, name: "x" }];
    await run(
      scene.target.merge(scene.read(rows), { on: "id", whenMatched: [{ then: "update", set: "*" }] }),
    );
    expect(scene.rows[2]).toEqual({ id: 3, v: 0, name: "x" });
    // The file with the rows 1 and 2 would be copied otherwise.
    expect(scene.summary).toMatchObject({ numTargetRowsUpdated: 1, numTargetRowsCopied: 0 });
  });
});
