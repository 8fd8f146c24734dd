import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { PostgresOptions } from "../../../shared/connectors/postgres/index.ts";
import { EqualTo, GreaterThan, In } from "../../../shared/contract/filters.ts";
import { predicatesOf } from "../../../shared/contract/write/convert-filters.ts";
import { deleteFrom, truncateTable } from "../../../shared/contract/write/delete.ts";
import { literal, predicate, reference, scalar } from "../../../shared/contract/write/predicates.ts";
import { ChangeDesk } from "../../postgres/change-desk.ts";
import type { PostgresServer } from "../../postgres/databases.ts";
import { valuesOf } from "../../postgres/desk.ts";
import { borrowPostgres } from "../../postgres/shared.ts";

let server: PostgresServer;
beforeAll(async () => {
  server = await borrowPostgres();
});
afterAll(() => server.stop());

async function open(sql: string, options: Partial<PostgresOptions> = {}): Promise<ChangeDesk> {
  const d = await ChangeDesk.open(server, options);
  await d.query(sql);
  return d;
}

const PEOPLE = `CREATE TABLE t (id bigint PRIMARY KEY, p text, n int, c char(3));
  INSERT INTO t SELECT g, CASE WHEN g % 3 = 0 THEN NULL ELSE 'p' || g % 3 END, g * 10, 'c' FROM generate_series(1, 20) AS g`;
const COMPUTED = predicate("=", scalar("+", reference("n"), literal(1)), literal(11));

describe("a scan", () => {
  it("A scan is split into ranges of the row id, which together have each row once", async () => {
    const d = await open(PEOPLE, { fetchSize: 4, maxPartitions: 4 });
    const { partitions, schema } = await d.scan();
    expect(partitions.map((rows) => rows.length)).toEqual([5, 5, 5, 5]);
    expect(valuesOf(partitions).sort((a, b) => Number(a) - Number(b))).toEqual(
      Array.from({ length: 20 }, (_, i) => i + 1),
    );
    expect(schema.fields.map(({ name }) => name)).toEqual(["id", "p", "n", "c"]);
  });

  it("A scan is split by several id columns, or by the cursor column of the options", async () => {
    const d = await open(
      `CREATE TABLE t (a text, b int, n int, PRIMARY KEY (a, b)); INSERT INTO t SELECT 'x', g, -g FROM generate_series(1, 9) AS g`,
      { fetchSize: 1, maxPartitions: 3 },
    );
    expect(valuesOf((await d.scan()).partitions, "b")).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect((await d.scan()).partitions).toHaveLength(3);
    const byN = await d.with({ cursorColumn: "n" }).scan();
    expect(valuesOf(byN.partitions, "n")).toEqual([-9, -8, -7, -6, -5, -4, -3, -2, -1]);
    expect(byN.partitions).toHaveLength(3);
  });

  it("A scan of a table whose row id has no order is one partition", async () => {
    const d = await open("CREATE TABLE t (id boolean PRIMARY KEY); INSERT INTO t VALUES (true), (false)", {
      fetchSize: 1,
    });
    expect((await d.scan()).partitions.map((rows) => rows.length)).toEqual([2]);
  });

  it("A scan returns the predicates that PostgreSQL cannot evaluate, and leaves out rows by the others", async () => {
    const d = await open(PEOPLE);
    const predicates = [
      ...predicatesOf(new EqualTo("p", "p1")),
      ...predicatesOf(new GreaterThan("n", 50)),
      ...predicatesOf(new EqualTo("c", "c")),
      COMPUTED,
    ];
    const { rest, partitions } = await d.scan(predicates, "id bigint");
    expect(rest).toEqual(predicates.slice(2));
    expect(partitions.flat()).toEqual([7, 10, 13, 16, 19].map((id) => ({ id })));
  });

  it("A scan of the table itself returns all predicates, and still leaves rows out", async () => {
    const d = await open(PEOPLE);
    const predicates = [...predicatesOf(new In("id", [1, 2])), COMPUTED];
    const { rest, partitions } = await d.scan(predicates, "id bigint, n int", async () =>
      (await d.table()).newScanBuilder(),
    );
    expect(rest).toEqual(predicates);
    expect(partitions.flat()).toEqual([
      { id: 1, n: 10 },
      { id: 2, n: 20 },
    ]);
  });

  it("A table without a row id can be scanned, and a column that is not there is an error", async () => {
    const d = await open("CREATE TABLE t (id int); INSERT INTO t VALUES (1)");
    const builder = async () => (await d.table()).newScanBuilder();
    expect((await d.scan([], undefined, builder)).partitions).toEqual([[{ id: 1 }]]);
    await expect(d.scan([], "other int", builder)).rejects.toMatchObject({ code: "POSTGRES_TABLE_MISMATCH" });
  });
});

const ids = async (d: ChangeDesk) =>
  (await d.query("SELECT id FROM t ORDER BY id")).map(([id]) => Number(id));
const FEW =
  "CREATE TABLE t (id bigint PRIMARY KEY, p text, n int, c char(3)); INSERT INTO t VALUES (1, 'a', 1, 'x'), (2, 'b', 2, 'x'), (3, NULL, 3, 'x')";

describe("a delete by predicates", () => {
  it("A delete takes the rows for which all predicates are true, and counts them", async () => {
    const d = await open(FEW);
    const table = await d.table();
    expect(await deleteFrom(table, predicate("<>", reference("p"), literal("b")))).toEqual({
      metrics: { "rows deleted": "1" },
    });
    expect(await ids(d)).toEqual([2, 3]);
    await deleteFrom(table, undefined);
    expect(await ids(d)).toEqual([]);
  });

  it("A delete of a batch is done once, and its rows may come back", async () => {
    const d = await open(FEW);
    const batch = d.desk.context();
    for (let call = 0; call < 2; call++) {
      const table = await d.table();
      await table.deleteWhere(predicatesOf(new GreaterThan("n", 1)), {}, batch);
      expect(table.reportDriverMetrics()).toEqual([{ name: "rowsDeleted", value: call === 0 ? 2 : 0 }]);
      if (call === 0) await d.query("INSERT INTO t VALUES (9, 'z', 9, 'x')");
    }
    expect(await ids(d)).toEqual([1, 9]);
    expect(await (await d.table()).hasCommitted(0, batch)).toBe(true);
  });

  it("Predicates without an exact form in SQL are refused, and no row is deleted", async () => {
    const d = await open(FEW);
    const table = await d.table();
    expect(table.canDeleteWhere([COMPUTED])).toBe(false);
    expect(table.canDeleteWhere(predicatesOf(new EqualTo("p", "a")))).toBe(true);
    await expect(table.deleteWhere([COMPUTED])).rejects.toMatchObject({ code: "WRITE_NOT_SUPPORTED" });
    const padded = table.deleteWhere(predicatesOf(new EqualTo("c", "x")), {}, d.desk.context());
    await expect(padded).rejects.toMatchObject({ code: "WRITE_NOT_SUPPORTED" });
    expect(await ids(d)).toEqual([1, 2, 3]);
    expect(await (await d.table()).hasCommitted(0, d.desk.context())).toBe(false);
  });

  it("A truncate of a batch is done once, and one without a batch each time", async () => {
    const d = await open(FEW);
    const truncate = async () => (await d.table()).truncateTable({}, d.desk.context());
    expect(await truncate()).toBe(true);
    await d.query("INSERT INTO t VALUES (5, 'a', 1, 'x')");
    await truncate();
    expect(await ids(d)).toEqual([5]);
    expect(await truncateTable(await d.table())).toEqual({ metrics: {} });
    expect(await ids(d)).toEqual([]);
  });
});
