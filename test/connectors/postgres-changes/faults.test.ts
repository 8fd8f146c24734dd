import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MillraceError } from "../../../shared/contract/errors.ts";
import { ChangeDesk, type KeyChange } from "../../postgres/change-desk.ts";
import type { PostgresServer } from "../../postgres/databases.ts";
import { type Break, PostgresProxy, type ProxyOptions } from "../../postgres/proxy.ts";
import { borrowPostgres } from "../../postgres/shared.ts";

let server: PostgresServer;
beforeAll(async () => {
  server = await borrowPostgres();
});
afterAll(() => server.stop());

const DDL = "id bigint NOT NULL, v string";
/** Doing it twice would take the exchange back. */
const EXCHANGE = [
  [
    { update: { id: 1 }, row: { id: 2, v: "a" } },
    { update: { id: 2 }, row: { id: 1, v: "b" } },
  ],
  [{ delete: { id: 3 } }, { insert: { id: 4, v: "d" } }],
];
const put = (id: number, sequence: number): KeyChange => ({
  id: { id },
  sequence,
  row: { v: `v${sequence}` },
});
const drop = (id: number, sequence: number): KeyChange => ({ id: { id }, sequence });

/** A commit that is tried until it succeeds, first with a broken statement. */
interface Broken {
  readonly commit: (d: ChangeDesk) => Promise<unknown>;
  readonly prepare: (d: ChangeDesk) => Promise<void>;
  readonly rows: string;
}

async function breakOne({ prepare, commit, rows }: Broken, options: ProxyOptions) {
  const d = await ChangeDesk.open(server);
  await prepare(d);
  const proxy = await PostgresProxy.start(server.port, options);
  const direct = d.desk.env;
  d.desk.env = { ...direct, PGPORT: String(proxy.port) };
  let failures = 0;
  for (let isDone = false; !isDone; ) {
    try {
      await commit(d);
      isDone = true;
    } catch (error) {
      expect(error).toBeInstanceOf(MillraceError);
      failures++;
      expect(failures).toBeLessThan(3);
    }
  }
  return { rows: await d.query(rows), statements: proxy.statements.length, broke: proxy.broke, failures };
}

async function breakEach(broken: Broken, kind: Break): Promise<void> {
  const whole = await breakOne(broken, {});
  expect(whole.failures).toBe(0);
  expect(whole.statements).toBeGreaterThan(10);
  let next = 0;
  const loop = async () => {
    for (let at = next++; at < whole.statements; at = next++) {
      const one = await breakOne(broken, { at, kind });
      expect({ at, broke: one.broke, rows: one.rows }).toEqual({ at, broke: true, rows: whole.rows });
    }
  };
  await Promise.all([loop(), loop(), loop()]);
}

const KINDS: readonly Break[] = ["drop before", "drop after"];

describe("a commit that loses its connection", () => {
  it.each(KINDS)(
    "A delta takes effect once whichever statement ends with: %s",
    { timeout: 240_000 },
    async (kind) => {
      const staged = new WeakMap<ChangeDesk, Awaited<ReturnType<ChangeDesk["stageDeltas"]>>>();
      await breakEach(
        {
          prepare: async (d) => {
            await d.query(
              "CREATE TABLE t (id bigint PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')",
            );

            staged.set(d, await d.stageDeltas(EXCHANGE, DDL));
          },
          commit: (d) => d.commitDeltas(staged.get(d) ?? [], DDL),
          rows: "SELECT id, v FROM t ORDER BY id",
        },
        kind,
      );
    },
  );

  it.each([1, 2] as const)(
    "A merge of SCD type %i takes effect once whichever statement is lost",
    { timeout: 240_000 },
    async (type) => {
      const staged = new WeakMap<ChangeDesk, Awaited<ReturnType<ChangeDesk["stageChanges"]>>>();
      await breakEach(
        {
          prepare: async (d) => {
            await d.merge([[put(1, 1), put(2, 5)]], { type });
            staged.set(
              d,
              await d.stageChanges(
                [
                  [put(1, 3), put(2, 4)],
                  [drop(1, 2), drop(3, 1)],
                ],
                { type },
                { batchId: 1 },
              ),
            );
          },
          commit: (d) => d.commitChanges(staged.get(d) ?? [], { type }, { batchId: 1 }),
          rows: "SELECT t::text FROM t UNION ALL SELECT id || ' ' || encode(__sequence, 'hex') || __deleted FROM t_millrace_changes ORDER BY 1",
        },
        "drop after",
      );
    },
  );

  it("A commit that is killed in the middle changes nothing, and the next call does all", async () => {
    const d = await ChangeDesk.open(server);
    await d.merge([[put(1, 1), put(2, 1)]]);
    const messages = await d.stageChanges([[put(1, 2), drop(2, 2)]], {}, { batchId: 1 });
    const session = await d.desk.session();
    await session.query("BEGIN; SELECT * FROM t WHERE id = 1 FOR UPDATE");
    const committing = d.commitChanges(messages, {}, { batchId: 1 });
    committing.catch(() => undefined);
    const waiting = "FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    await expect.poll(() => d.query(`SELECT count(*) ${waiting}`), { timeout: 20_000 }).toEqual([["1"]]);
    await d.query(`SELECT pg_terminate_backend(pid) ${waiting}`);
    await expect(committing).rejects.toMatchObject({ code: "POSTGRES_FAILED" });
    await session.query("ROLLBACK");
    expect(await d.query("SELECT id, v FROM t ORDER BY id")).toEqual([
      ["1", "v1"],
      ["2", "v1"],
    ]);
    expect(await d.query("SELECT count(*) FROM t_millrace_changes WHERE __deleted")).toEqual([["0"]]);
    await d.commitChanges(messages, {}, { batchId: 1 });
    expect(await d.query("SELECT id, v FROM t ORDER BY id")).toEqual([["1", "v2"]]);
  });

  it("The commit of a zombie that comes after a newer batch is refused, and changes nothing", async () => {
    const d = await ChangeDesk.open(server);
    await d.query("CREATE TABLE t (id bigint PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a')");
    const zombie = await d.stageDeltas([[{ update: { id: 1 }, row: { id: 1, v: "zombie" } }]], DDL);
    await d.applyDeltas([[{ update: { id: 1 }, row: { id: 1, v: "b" } }]], DDL);
    await d.applyDeltas([[{ update: { id: 1 }, row: { id: 1, v: "c" } }]], DDL, { batchId: 1 });
    await expect(d.commitDeltas(zombie, DDL)).rejects.toMatchObject({ code: "LEDGER_BEHIND_SINK" });
    expect(await d.query("SELECT v FROM t")).toEqual([["c"]]);
  });
});

describe("several pipelines at once", () => {
  it.each([1, 2] as const)(
    "Pipelines that merge into one table with SCD type %i at once neither fail nor lose a change",
    { timeout: 120_000 },
    async (type) => {
      const d = await ChangeDesk.open(server);
      const keys = Array.from({ length: 40 }, (_, id) => id);
      for (let batchId = 0; batchId < 6; batchId++) {
        const merges = [0, 1, 2].map(async (n) => {
          const order = n === 1 ? keys.toReversed() : keys;
          const sequence = batchId * 10 + ([3, 1, 2][n] ?? 0);
          const changes = order.map((id) =>
            (id + n + batchId) % 5 === 0 ? drop(id, sequence) : put(id, sequence),
          );
          const tasks = [changes.slice(0, 20), changes.slice(20)];
          await d.merge(tasks, { type }, { pipeline: `p${n}`, batchId });
        });
        await Promise.all(merges);
      }
      if (type === 1) {
        const last = keys.filter((id) => (id + 0 + 5) % 5 !== 0).map((id) => [String(id), "v53"]);
        expect(await d.query("SELECT id, v FROM t ORDER BY id")).toEqual(last);
        return;
      }
      const wrong = `SELECT count(*) FROM t WHERE "__END_AT" IS DISTINCT FROM (SELECT min(__start_at) FROM t_millrace_changes AS side WHERE side.id = t.id AND __start_at > t."__START_AT")`;
      expect(await d.query(wrong)).toEqual([["0"]]);
      expect(await d.query("SELECT count(*) FROM t_millrace_changes")).toEqual([[String(40 * 18)]]);
      expect(await d.query("SELECT count(*) FROM t")).toEqual([[String(40 * 18 - 18 * 8)]]);
    },
  );

  it.each([
    {
      what: "Merges",
      rows: "t_millrace_changes",
      commit: (d: ChangeDesk, ids: readonly number[], sequence: number) =>
        d.merge([ids.map((id) => put(id, sequence))], {}, { pipeline: `p${sequence}` }),
    },
    {
      what: "Deltas",
      rows: "t",
      commit: (d: ChangeDesk, ids: readonly number[], sequence: number) =>
        d.applyDeltas([ids.map((id) => ({ update: { id }, row: { id, v: `v${sequence}` } }))], DDL, {
          pipeline: `p${sequence}`,
        }),
    },
  ])(
    "$what that begin at both ends of their rows wait for each other in one direction",
    async ({ rows, commit }) => {
      const d = await ChangeDesk.open(server);
      const ids = Array.from({ length: 41 }, (_, id) => id);
      await d.merge([ids.map((id) => put(id, 0))]);
      const session = await d.desk.session();
      await session.query(`BEGIN; SELECT * FROM ${rows} WHERE id = 20 FOR UPDATE`);
      const commits = Promise.all([commit(d, ids, 1), commit(d, ids.toReversed(), 2)]);
      commits.catch(() => undefined);
      const waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
      await expect.poll(() => d.query(waiting), { timeout: 20_000 }).toEqual([["2"]]);
      await session.query("ROLLBACK");
      await commits;
      expect(await d.query("SELECT count(DISTINCT v) FROM t")).toEqual([["1"]]);
    },
  );

  it("Commands that change the same rows at once, in opposite orders, neither fail nor mix", {
    timeout: 120_000,
  }, async () => {
    const d = await ChangeDesk.open(server);
    await d.query(
      "CREATE TABLE t (id bigint PRIMARY KEY, v text); INSERT INTO t SELECT g, '' FROM generate_series(1, 200) AS g",
    );
    const ids = Array.from({ length: 200 }, (_, i) => i + 1);
    for (let batchId = 0; batchId < 5; batchId++) {
      const commands = [0, 1, 2].map(async (n) => {
        const order = n === 1 ? ids.toReversed() : ids;
        const deltas = order.map((id) => ({ update: { id }, row: { id, v: `p${n}-${batchId}` } }));
        await d.applyDeltas([deltas], DDL, { pipeline: `p${n}`, batchId });
      });
      await Promise.all(commands);
      expect(await d.query("SELECT count(DISTINCT v) FROM t")).toEqual([["1"]]);
    }
  });
});
