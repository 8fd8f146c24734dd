import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ChangeDesk, type KeyChange } from "../../postgres/change-desk.ts";
import type { PostgresServer } from "../../postgres/databases.ts";
import { borrowPostgres } from "../../postgres/shared.ts";

let server: PostgresServer;
beforeAll(async () => {
  server = await borrowPostgres();
});
afterAll(() => server.stop());

const ALL = { type: 2 } as const;
const states = (d: ChangeDesk) =>
  d.query('SELECT id, v, "__START_AT", "__END_AT" FROM t ORDER BY id, "__START_AT" NULLS FIRST');
const put = (id: number, sequence: number, v = `v${sequence}`): KeyChange => ({
  id: { id },
  sequence,
  row: { v },
});
const drop = (id: number, sequence: number): KeyChange => ({ id: { id }, sequence });

describe("a merge of all states", () => {
  it("Each change is a row that ends at the next change of its key", async () => {
    const d = await ChangeDesk.open(server);
    const metrics = await d.merge([[put(1, 1), put(1, 3), drop(1, 5), put(2, 2)], [put(1, 9)]], ALL);
    expect(await states(d)).toEqual([
      ["1", "v1", "1", "3"],
      ["1", "v3", "3", "5"],
      ["1", "v9", "9", null],
      ["2", "v2", "2", null],
    ]);
    expect(metrics).toEqual({ changesUpserted: 4, changesDeleted: 1, changesOutdated: 0 });
  });

  it("Late changes and late deletes find their place, and repeated ones change nothing", async () => {
    const d = await ChangeDesk.open(server);
    await d.merge([[put(1, 10)]], ALL);
    await d.merge([[drop(1, 20)]], ALL, { batchId: 1 });
    await d.merge([[put(1, 5), put(1, 10, "again"), drop(1, 20)]], ALL, { batchId: 2 });
    await d.merge([[drop(1, 7)]], ALL, { batchId: 3 });
    await d.merge([[put(1, 15), drop(1, 3)]], ALL, { batchId: 4 });
    expect(await states(d)).toEqual([
      ["1", "v5", "5", "7"],
      ["1", "v10", "10", "15"],
      ["1", "v15", "15", "20"],
    ]);
  });

  it("Of two changes with one sequence the first stays, also if the other one is a delete", async () => {
    const d = await ChangeDesk.open(server);
    await d.merge([[put(1, 1, "first"), put(1, 1, "second"), put(2, 1), drop(2, 1)]], ALL);
    await d.merge([[put(1, 1, "third"), drop(1, 1)]], ALL, { batchId: 1 });
    expect(await states(d)).toEqual([
      ["1", "first", "1", null],
      ["2", "v1", "1", null],
    ]);
  });

  it("Rows that were there before are older than every change", async () => {
    const d = await ChangeDesk.open(server);
    await d.query(`CREATE TABLE t (id bigint, v text, "__START_AT" bigint, "__END_AT" bigint, UNIQUE (id, "__START_AT"));
      INSERT INTO t VALUES (1, 'former', 100, NULL), (1, 'ended', 50, 100), (2, 'former', 100, NULL)`);
    await d.merge([[put(1, 7)]], ALL);
    await d.merge([[put(1, 5)]], ALL, { batchId: 1 });
    expect(await states(d)).toEqual([
      ["1", "v5", "5", "7"],
      ["1", "v7", "7", null],
      ["1", "ended", "50", "100"],
      ["1", "former", "100", "5"],
      ["2", "former", "100", null],
    ]);
  });

  it("A batch that is committed again changes nothing", async () => {
    const d = await ChangeDesk.open(server);
    const messages = await d.stageChanges([[put(1, 5), drop(1, 6)]], ALL);
    await d.commitChanges(messages, ALL);
    await d.query("DELETE FROM t; DELETE FROM t_millrace_changes");
    await d.commitChanges(messages, ALL);
    expect(await states(d)).toEqual([]);
  });

  it("A table without a unique index on keys and start is refused with the statement to run", async () => {
    const d = await ChangeDesk.open(server);
    await d.query('CREATE TABLE t (id bigint PRIMARY KEY, v text, "__START_AT" bigint, "__END_AT" bigint)');
    const planning = (await d.streaming(ALL)).createStreamingWriterFactory({
      numPartitions: 1,
      inputPartitions: 1,
    });
    await expect(planning).rejects.toMatchObject({
      code: "POSTGRES_TABLE_MISMATCH",
      hint: expect.stringContaining('("id", "__START_AT")'),
    });
  });
});
