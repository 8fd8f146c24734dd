import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { StagedRows } from "../../../shared/connectors/kit/staging.ts";
import { Memory, MemoryStream } from "../../../shared/connectors/memory/index.ts";
import { Postgres, type PostgresOptions } from "../../../shared/connectors/postgres/index.ts";
import type { PostgresWriter } from "../../../shared/connectors/postgres/writer.ts";
import type { BatchContext } from "../../../shared/contract/context.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import {
  AlwaysFalse,
  EqualNullSafe,
  EqualTo,
  type Filter,
  GreaterThan,
  In,
  IsNotNull,
  IsNull,
  Not,
  Or,
  StringStartsWith,
} from "../../../shared/contract/filters.ts";
import { type BatchPipeline, type Pipeline, pipeline } from "../../../shared/contract/pipeline.ts";
import type { Row } from "../../../shared/contract/stream-reader.ts";
import { predicatesOf } from "../../../shared/contract/write/convert-filters.ts";
import {
  literal,
  type Predicate,
  predicate,
  reference,
  scalar,
} from "../../../shared/contract/write/predicates.ts";
import type { Disposition, WriterTable } from "../../../shared/contract/write/writer-table.ts";
import { checkSink, runPipeline } from "../../../shared/testing/index.ts";
import type { PostgresServer } from "../../postgres/databases.ts";
import { Desk, json } from "../../postgres/desk.ts";
import { borrowPostgres } from "../../postgres/shared.ts";

let server: PostgresServer;
beforeAll(async () => {
  server = await borrowPostgres();
});
afterAll(() => server.stop());

let names = 0;
const DDL = "id bigint NOT NULL, p string, n int";
const PARTITIONS: Disposition = { replaces: "partitions" };
const BY_P = { partitionBy: ["p"] };

/** A table `t` and writers of every disposition. */
class OverwriteDesk {
  readonly desk: Desk;
  readonly #options: Partial<PostgresOptions>;

  constructor(desk: Desk, options: Partial<PostgresOptions> = {}) {
    this.desk = desk;
    this.#options = options;
  }

  static async open(options: Partial<PostgresOptions> = {}): Promise<OverwriteDesk> {
    return new OverwriteDesk(await Desk.open(server), options);
  }

  async writer(disposition: Disposition, ddl = DDL): Promise<PostgresWriter> {
    const schema = parseDdl(ddl);
    const sink = await this.desk.source({ table: "t", ...this.#options });
    return (await (sink.table(schema) as WriterTable).writer(disposition, { schema })) as PostgresWriter;
  }

  async stage(partitions: readonly (readonly Row[])[], ddl = DDL): Promise<readonly StagedRows[]> {
    const writer = await this.writer({ replaces: "none" }, ddl);
    const messages: StagedRows[] = [];
    for (const rows of partitions) messages.push(await this.desk.stage(writer, rows, ddl));
    return json(messages);
  }

  async commit(
    disposition: Disposition,
    messages: readonly StagedRows[],
    overrides: Partial<BatchContext> = {},
    ddl = DDL,
  ): Promise<void> {
    const batch = this.desk.context(overrides);
    await (await this.writer(disposition, ddl)).commit(messages, batch.batchId, batch);
  }

  async land(
    disposition: Disposition,
    rows: readonly Row[],
    overrides: Partial<BatchContext> = {},
    ddl = DDL,
  ): Promise<void> {
    await this.commit(disposition, await this.stage([rows], ddl), overrides, ddl);
  }

  /** Returns the ids in the table. */
  async ids(): Promise<number[]> {
    return (await this.desk.db.query("SELECT id FROM t ORDER BY id")).map(([id]) => Number(id));
  }
}

const matching = (condition: Filter | Predicate): Disposition => ({
  replaces: "matching",
  predicates: predicatesOf(condition),
});

const ROWS: readonly Row[] = [
  [1, "a", 10],
  [2, "b", 20],
  [3, null, 30],
  [4, "a", null],
  [5, "", 0],
];

describe("an overwrite by filter", () => {
  it.each<[string, Filter | Predicate, number[]]>([
    ["an equal text", new EqualTo("p", "a"), [2, 3, 5]],
    ["a comparison with null", new EqualTo("p", null), [1, 2, 3, 4, 5]],
    ["a null-safe comparison with null", new EqualNullSafe("p", null), [1, 2, 4, 5]],
    ["the negation of an equal text, which is unknown for null", new Not(new EqualTo("p", "a")), [1, 3, 4]],
    ["a null", new IsNull("n"), [1, 2, 3, 5]],
    ["a value that is not null", new IsNotNull("p"), [3]],
    ["a greater number", new GreaterThan("n", 10), [1, 4, 5]],
    ["one of several values and null", new In("p", ["b", null]), [1, 3, 4, 5]],
    ["none of several values and null", new Not(new In("p", ["b", null])), [1, 2, 3, 4, 5]],
    ["one of two conditions", new Or(new EqualTo("p", ""), new GreaterThan("n", 25)), [1, 2, 4]],
    ["a text with wildcards of SQL", new StringStartsWith("p", "%"), [1, 2, 3, 4, 5]],
    ["no row", new AlwaysFalse(), [1, 2, 3, 4, 5]],
    [
      "two conditions, with the value first",
      predicate(
        "AND",
        predicate("<=", literal(10), reference("n")),
        predicate("<>", reference("p"), literal("b")),
      ),
      [2, 3, 4, 5],
    ],
  ])("An overwrite by filter replaces the rows with %s", async (_what, condition, kept) => {
    const d = await OverwriteDesk.open();
    await d.land({ replaces: "none" }, ROWS);
    await d.land(matching(condition), [[100, "new", 1]], { batchId: 1 });
    expect(await d.ids()).toEqual([...kept, 100]);
  });

  it("An overwrite by filter that is committed again changes nothing, and its new rows stay", async () => {
    const d = await OverwriteDesk.open();
    await d.land({ replaces: "none" }, ROWS);
    const messages = await d.stage([[[6, "a", 1]], [[7, "z", 1]]]);
    const disposition = matching(new EqualTo("p", "a"));
    for (let call = 0; call < 2; call++) await d.commit(disposition, messages, { batchId: 1 });
    expect(await d.ids()).toEqual([2, 3, 5, 6, 7]);
  });

  it("An overwrite by filter of a skipped batch deletes nothing", async () => {
    const d = await OverwriteDesk.open();
    await d.land({ replaces: "none" }, ROWS);
    await d.commit(matching(new EqualTo("p", "a")), [], { batchId: 1 });
    expect(await d.ids()).toEqual([1, 2, 3, 4, 5]);
  });

  it("An overwrite by filter that fails keeps all rows, and can be committed later", async () => {
    const d = await OverwriteDesk.open();
    await d.desk.db.query("CREATE TABLE t (id bigint NOT NULL, p text, n int CHECK (n < 1000))");
    await d.land({ replaces: "none" }, ROWS);
    const messages = await d.stage([[[6, "a", 5000]]]);
    const disposition = matching(new EqualTo("p", "a"));
    await expect(d.commit(disposition, messages, { batchId: 1 })).rejects.toMatchObject({
      code: "POSTGRES_FAILED",
    });
    expect(await d.ids()).toEqual([1, 2, 3, 4, 5]);
    await d.desk.db.query("ALTER TABLE t DROP CONSTRAINT t_n_check");
    await d.commit(disposition, messages, { batchId: 1 });
    expect(await d.ids()).toEqual([2, 3, 5, 6]);
  });

  it("An overwrite by filter may name a column that the rows lack", async () => {
    const d = await OverwriteDesk.open();
    await d.land({ replaces: "none" }, ROWS);
    await d.land(matching(new GreaterThan("n", 10)), [[6]], { batchId: 1 }, "id bigint NOT NULL");
    expect(await d.ids()).toEqual([1, 4, 5, 6]);
  });

  it.each<[string, Filter | Predicate]>([
    ["computes", predicate("=", scalar("+", reference("n"), literal(1)), literal(3))],
    ["compares two columns", predicate("=", reference("n"), reference("id"))],
    ["names a field of a struct", new EqualTo(["place", "x"], 1)],
  ])("A filter that %s is refused before anything is read", async (_what, condition) => {
    const d = await OverwriteDesk.open();
    await expect(d.writer(matching(condition))).rejects.toMatchObject({ code: "WRITE_NOT_SUPPORTED" });
  });

  it.each([
    ["char(3)", new EqualTo("p", "a")],
    ["text COLLATE ci", new EqualTo("p", "a")],
    ["text", new EqualTo("q", "a")],
  ])(
    "A filter of a column that PostgreSQL compares otherwise, or lacks, is refused: %s",
    async (type, filter) => {
      const d = await OverwriteDesk.open();
      await d.desk.db.query(`
      CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
      CREATE TABLE t (id bigint NOT NULL, p ${type}, n int)`);
      await d.land({ replaces: "none" }, ROWS);
      await expect(d.land(matching(filter), [[6, "a", 1]], { batchId: 1 })).rejects.toMatchObject({
        code: "WRITE_NOT_SUPPORTED",
      });
      expect(await d.ids()).toEqual([1, 2, 3, 4, 5]);
    },
  );
});

describe("an overwrite of partitions", () => {
  it("An overwrite of partitions replaces the rows with the values of new rows, also null, and again changes nothing", async () => {
    const d = await OverwriteDesk.open(BY_P);
    await d.land({ replaces: "none" }, ROWS);
    const messages = await d.stage([
      [
        [6, "a", 1],
        [7, null, 1],
      ],
      [[8, "c", 1]],
    ]);
    for (let call = 0; call < 2; call++) await d.commit(PARTITIONS, messages, { batchId: 1 });
    expect(await d.ids()).toEqual([2, 5, 6, 7, 8]);
  });

  it("An overwrite of partitions compares all its columns", async () => {
    const d = await OverwriteDesk.open({ partitionBy: ["n", "p"] });
    await d.land({ replaces: "none" }, [...ROWS, [6, null, null]]);
    await d.land(
      PARTITIONS,
      [
        [10, "a", 10],
        [11, "a", 20],
        [12, null, null],
        [13, "a", null],
      ],
      { batchId: 1 },
    );
    expect(await d.ids()).toEqual([2, 3, 5, 10, 11, 12, 13]);
  });

  it("An overwrite of partitions takes more values than one statement has", async () => {
    const d = await OverwriteDesk.open({ partitionBy: ["id"] });
    const rows = (n: number): Row[] => Array.from({ length: 12_000 }, (_, id) => [id, "x", n]);
    await d.land({ replaces: "none" }, [...rows(1), [20_000, "x", 1]]);
    await d.land(PARTITIONS, rows(2), { batchId: 1 });
    expect(await d.desk.db.query("SELECT n, count(*) FROM t GROUP BY n ORDER BY n")).toEqual([
      ["1", "1"],
      ["2", "12000"],
    ]);
  });

  it("An overwrite of partitions without rows, or of a skipped batch, deletes nothing", async () => {
    const d = await OverwriteDesk.open(BY_P);
    await d.land({ replaces: "none" }, ROWS);
    await d.land(PARTITIONS, [], { batchId: 1 });
    await d.commit(PARTITIONS, [], { batchId: 2 });
    expect(await d.ids()).toEqual([1, 2, 3, 4, 5]);
  });

  it("An overwrite of partitions makes a table that is not there", async () => {
    const d = await OverwriteDesk.open(BY_P);
    await d.land(PARTITIONS, ROWS);
    expect(await d.ids()).toEqual([1, 2, 3, 4, 5]);
  });

  it("Overwrites of the same partition by several pipelines at once leave the rows of the last one", async () => {
    const d = await OverwriteDesk.open(BY_P);
    await d.land({ replaces: "none" }, ROWS);
    const pipelines = Array.from({ length: 5 }, (_, i) => `racer-${i}`);
    await Promise.all(
      pipelines.map((pipeline, i) =>
        d.land(
          PARTITIONS,
          [
            [100 + i, "a", 1],
            [200 + i, "a", 1],
          ],
          { pipeline },
        ),
      ),
    );
    const ids = await d.ids();
    expect(ids.slice(0, 3)).toEqual([2, 3, 5]);
    expect(ids).toHaveLength(5);
    expect((ids[4] ?? 0) - (ids[3] ?? 0)).toBe(100);
  });

  it("An overwrite of partitions waits for rows that another session has inserted and not committed", async () => {
    const d = await OverwriteDesk.open(BY_P);
    await d.land({ replaces: "none" }, ROWS);
    const other = await d.desk.session();
    await other.query("BEGIN; INSERT INTO t VALUES (50, 'a', 1)");
    const landed = d.land(PARTITIONS, [[6, "a", 1]], { batchId: 1 });
    const waiting =
      "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'millrace' AND wait_event_type = 'Lock'";
    await expect.poll(async () => (await d.desk.db.query(waiting))[0]?.[0], { timeout: 30_000 }).toBe("1");
    await other.query("COMMIT");
    await landed;
    expect(await d.ids()).toEqual([2, 3, 5, 6]);
  });

  it("A partition column that the rows lack is refused, and one is needed at all", async () => {
    const d = await OverwriteDesk.open({ partitionBy: ["q"] });
    await expect(d.land(PARTITIONS, ROWS)).rejects.toMatchObject({ code: "OPTIONS_INVALID" });
    const table = (await new OverwriteDesk(d.desk).desk.source({ table: "t" })).table(parseDdl(DDL));
    expect(table.capabilities.has("OVERWRITE_DYNAMIC")).toBe(false);
    expect(table.insteadOf?.OVERWRITE_DYNAMIC).toContain("partitionBy");
  });
});

describe("an overwrite of all rows", () => {
  it("An overwrite of all rows empties the table in the same transaction, and once", async () => {
    const d = await OverwriteDesk.open();
    await d.land({ replaces: "none" }, ROWS);
    const messages = await d.stage([[[6, "a", 1]]]);
    for (let call = 0; call < 2; call++) await d.commit({ replaces: "all" }, messages, { batchId: 1 });
    expect(await d.ids()).toEqual([6]);
  });
});

describe("the verbs of a pipeline to PostgreSQL", () => {
  it.each<[string, (definition: BatchPipeline<never>) => Pipeline, number[]]>([
    ["an append", (one) => one.mode("append"), [1, 2, 3, 4, 5, 9]],
    ["a truncate", (one) => one.truncate(), [9]],
    ["an overwrite by filter", (one) => one.overwrite(new GreaterThan("n", 15)), [1, 4, 5, 9]],
    ["an overwrite of partitions", (one) => one.overwritePartitions(), [2, 3, 5, 9]],
  ])("A pipeline with %s leaves the rows that it should", async (_what, change, expected) => {
    const d = await OverwriteDesk.open();
    await d.land({ replaces: "none" }, ROWS, { pipeline: "other" });
    const stream = new MemoryStream(`postgres-${names++}`, DDL);
    stream.addData([[9, "a", 1]]);
    const definition = pipeline("writer")
      .read.format(Memory)
      .options({ stream: stream.name })
      .write.format(Postgres)
      .options({ table: "t", ...BY_P });
    await runPipeline(change(definition as unknown as BatchPipeline<never>), { env: d.desk.env });
    expect(await d.ids()).toEqual(expected);
  });

  it("A filter that has no form in SQL is refused before the source is asked for rows", async () => {
    const d = await OverwriteDesk.open();
    const definition = pipeline("writer")
      .read.format(Memory)
      .options({ stream: "no stream of this name" })
      .schema(DDL)
      .write.format(Postgres)
      .options({ table: "t" })
      .overwrite(predicate("=", reference("n"), reference("id")));
    await expect(runPipeline(definition as unknown as Pipeline, { env: d.desk.env })).rejects.toMatchObject({
      code: "WRITE_NOT_SUPPORTED",
    });
  });

  it("A PostgreSQL sink with partition columns has none of the known traps", async () => {
    const d = await OverwriteDesk.open();
    const readBack = async () => {
      const [[count] = []] = await d.desk.db.query("SELECT count(*) FROM t").catch(() => [["0"]]);
      return Number(count);
    };
    const { notChecked } = await checkSink(Postgres, {
      options: { table: "t", partitionBy: ["id"] },
      env: d.desk.env,
      readBack,
    });
    expect(notChecked).toEqual([]);
  });
});
