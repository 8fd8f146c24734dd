import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { Row } from "../../../shared/contract/stream-reader.ts";
import { decodeContent } from "../../../shared/engine/bad-rows/content.ts";
import type { QuarantinedRow } from "../../../shared/engine/bad-rows/quarantine.ts";
import { vacuumQuarantine } from "../../../shared/engine/bad-rows/vacuum-quarantine.ts";
import type { Ports } from "../../../shared/engine/ports/runtime.ts";
import { SqliteLedger } from "../../../shared/platform/embedded/sqlite-ledger.ts";
import type { PipelineRun } from "../../../shared/testing/run-pipeline.ts";
import type { PostgresServer } from "../../postgres/databases.ts";
import { borrowPostgres } from "../../postgres/shared.ts";
import { Refusing } from "./refusing.ts";

let server: PostgresServer;
beforeAll(async () => {
  server = await borrowPostgres();
});
afterAll(() => server.stop());

const DDL = "id bigint NOT NULL, total decimal(12,2)";
const numbers = (count: number): number[] => Array.from({ length: count }, (_, id) => id);
/** 1,000 rows, of which 100, 499 and 500 have a negative total. */
const NEGATIVE = [100, 499, 500];
const THOUSAND: Row[] = numbers(1000).map((id) => ({ id, total: NEGATIVE.includes(id) ? "-1" : "1.50" }));
const OTHERS = numbers(1000).filter((id) => !NEGATIVE.includes(id));
const CHECKED = "CREATE TABLE t (id bigint, total numeric(12,2) CONSTRAINT positive CHECK (total > 0))";

const keptRow = ({ row }: QuarantinedRow) => decodeContent(row) as { id: unknown; total?: unknown };
const keptIds = ({ quarantine }: PipelineRun) =>
  quarantine.map((kept) => Number(keptRow(kept).id)).sort((a, b) => a - b);

async function refusing(
  table: string,
  rows: readonly Row[],
  ...[policy, options, ddl = DDL]: [
    ConstructorParameters<typeof Refusing>[2],
    ConstructorParameters<typeof Refusing>[3]?,
    string?,
  ]
): Promise<Refusing> {
  const db = await server.database();
  await db.query(table);
  return new Refusing(db, { ddl, rows }, policy, options);
}

describe("rows that the server refuses in the commit", () => {
  it("Three rows among a thousand that violate a check are kept, and the others are written", async () => {
    const copy = await refusing(CHECKED, THOUSAND, "quarantine", { max: 3 });
    const run = await copy.run();
    expect(await copy.ids()).toEqual(OTHERS);
    expect(keptIds(run)).toEqual(NEGATIVE);
    expect(run.quarantine[1]).toMatchObject({
      batchId: 0,
      row: { id: { $bigint: "499" }, total: "-1.00" },
      reason: {
        code: "POSTGRES_FAILED",
        message: 'writing to "public"."t": SQLSTATE 23514 (table t, constraint positive)',
        where: { pipeline: copy.definition.name, batchId: 0, partition: 1, row: 250 },
      },
    });
    expect(await copy.progress()).toEqual({ rows: 997, bad: 3 });
    expect((await run.state.ledger.head(copy.definition.name))?.quarantinedRows).toBe(3);
  });

  it("Rows that are refused are sent again once the table takes them, once", async () => {
    const copy = await refusing(CHECKED, THOUSAND, "quarantine");
    await copy.run();
    const still = await copy.run({ retryQuarantine: true });
    expect(keptIds(still)).toEqual(NEGATIVE);
    expect(await copy.progress()).toEqual({ rows: 0, bad: 3 });
    await copy.db.query("ALTER TABLE t DROP CONSTRAINT positive");
    expect((await copy.run({ retryQuarantine: true })).quarantine).toEqual([]);
    expect(await copy.ids()).toEqual(numbers(1000));
    expect((await copy.run({ retryQuarantine: true })).batches).toEqual([]);
  });

  it("A refused row that has passed steps does not pass them again", async () => {
    const copy = await refusing(CHECKED, THOUSAND.slice(0, 101), "quarantine", { double: true });
    const run = await copy.run();
    expect(run.quarantine).toMatchObject([
      { row: { id: { $bigint: "200" }, total: "-1.00" }, afterSteps: true },
    ]);
    await copy.db.query("ALTER TABLE t DROP CONSTRAINT positive");
    expect((await copy.run({ retryQuarantine: true })).quarantine).toEqual([]);
    expect(await copy.ids()).toEqual(numbers(101).map((id) => id * 2));
    expect(await copy.progress()).toEqual({ rows: 1, bad: undefined });
  });

  it("More refused rows than allowed abort the batch, and nothing is written", async () => {
    const copy = await refusing(CHECKED, THOUSAND, "quarantine", { max: 2 });
    await expect(copy.run()).rejects.toMatchObject({
      code: "BAD_ROWS_TOO_MANY",
      message:
        'more than 2 rows of the batch cannot be written, such as POSTGRES_FAILED: writing to "public"."t": SQLSTATE 23514 (table t, constraint positive)',
    });
    expect(await copy.ids()).toEqual([]);
  });

  it("Rows that tasks have left out count for max, too", async () => {
    const rows = THOUSAND.with(7, { id: 7, total: "N/A" });
    const copy = await refusing(CHECKED, rows, "drop", { max: 3 });
    await expect(copy.run()).rejects.toMatchObject({ code: "BAD_ROWS_TOO_MANY" });
    const enough = await refusing(CHECKED, rows, "drop", { max: 4 });
    await enough.run();
    expect(await enough.progress()).toEqual({ rows: 996, bad: 4 });
  });

  it("Refused rows that are dropped are counted, and kept nowhere", async () => {
    const copy = await refusing(CHECKED, THOUSAND, "drop");
    expect((await copy.run()).quarantine).toEqual([]);
    expect(await copy.ids()).toEqual(OTHERS);
    expect(await copy.progress()).toEqual({ rows: 997, bad: 3 });
  });

  it("Without a choice the error names the SQLSTATE, the table, the constraint and the row", async () => {
    const copy = await refusing(CHECKED, THOUSAND, "fail");
    await expect(copy.run()).rejects.toMatchObject({
      code: "POSTGRES_FAILED",
      message: 'writing to "public"."t": SQLSTATE 23514 (table t, constraint positive)',
      where: { partition: 0, row: 101 },
      hint: expect.stringContaining('`.onBadRow("quarantine")`') as string,
    });
    expect(await copy.ids()).toEqual([]);
  });

  const trigger = `CREATE TABLE t (id bigint, total numeric);
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN IF NEW.total < 0 THEN RAISE EXCEPTION 'no'; END IF; RETURN NEW; END $$;
    CREATE TRIGGER refuse BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION refuse()`;
  it.each([
    ["a number that is too large", "CREATE TABLE t (id bigint, total numeric(5,2))", "22003", "1000.00"],
    ["an error of a trigger", trigger, "P0001", "-1.00"],
    ["a null", "CREATE TABLE t (id bigint, total numeric NOT NULL)", "23502", null],
  ])("%s is found among the rows", async (_, table, state, total) => {
    const rows = numbers(50).map((id) => ({ id, total: id % 20 === 7 ? total : "1.50" }));
    const copy = await refusing(table, rows, "quarantine");
    const run = await copy.run();
    expect(keptIds(run)).toEqual([7, 27, 47]);
    expect(await copy.ids()).toEqual(numbers(50).filter((id) => id % 20 !== 7));
    for (const { reason, row } of run.quarantine) {
      expect(reason.message).toContain(`SQLSTATE ${state}`);
      expect(row).toMatchObject({ total });
    }
  });

  it("Of rows with one unique value, the first is written and the others are kept", async () => {
    const rows = numbers(40).map((id) => ({ id, total: `${id % 30}.00` }));
    const copy = await refusing("CREATE TABLE t (id bigint, total numeric UNIQUE)", rows, "quarantine");
    const run = await copy.run();
    expect(await copy.ids()).toEqual(numbers(30));
    expect(keptIds(run)).toEqual(numbers(40).slice(30));
  });
});

describe("rows that a task finds", () => {
  it("A null key and a character that PostgreSQL cannot store are kept aside, with their place", async () => {
    const ddl = "id bigint, word string";
    const rows = [
      { id: 0, word: "a" },
      { id: null, word: "b" },
      { id: 2, word: "c" },
      { id: 3, word: "\0" },
    ];
    const table = "CREATE TABLE t (id bigint PRIMARY KEY, word text)";
    const copy = await refusing(table, [...rows, ...rows], "quarantine", { keyColumns: ["id"] }, ddl);
    const run = await copy.run();
    expect(await copy.ids()).toEqual([0, 2]);
    expect(run.quarantine).toMatchObject([
      { row: { id: null, word: "b" }, reason: { code: "ROW_MISMATCH", where: { field: "id", row: 2 } } },
      {
        row: { id: { $bigint: "3" }, word: "\0" },
        reason: { where: { field: "word", row: 2, partition: 1 } },
      },
      { row: { id: null } },
      { row: { id: { $bigint: "3" } } },
    ]);
    expect(await copy.progress()).toEqual({ rows: 4, bad: 4 });
    const failing = await refusing(table, rows, "fail", { keyColumns: ["id"] }, ddl);
    await expect(failing.run()).rejects.toMatchObject({
      code: "ROW_MISMATCH",
      where: { row: 1, partition: 1, field: "id" },
      hint: expect.stringContaining('`.onBadRow("quarantine")`') as string,
    });
  });
});

describe("a run that is killed between the commit of the sink and that of the ledger", () => {
  it.each(["quarantine", "drop"] as const)(
    "The next run finds the refused rows, and each row is there once: %s",
    async (policy) => {
      const copy = await refusing(CHECKED, [], policy);
      await copy.run();
      copy.source.rows = THOUSAND;
      const finish = vi.spyOn(SqliteLedger.prototype, "finish").mockRejectedValueOnce(new Error("killed"));
      await expect(copy.run()).rejects.toThrow("killed");
      finish.mockRestore();
      expect(await copy.ids()).toEqual(OTHERS);
      const run = await copy.run();
      expect(await copy.ids()).toEqual(OTHERS);
      expect(keptIds(run)).toEqual(policy === "drop" ? [] : NEGATIVE);
      expect(await copy.progress()).toEqual({ rows: 997, bad: 3 });
    },
  );

  it("The refused rows are found although the pipeline has made another choice since", async () => {
    const copy = await refusing(CHECKED, [], "quarantine");
    await copy.run();
    copy.source.rows = THOUSAND;
    const finish = vi.spyOn(SqliteLedger.prototype, "finish").mockRejectedValueOnce(new Error("killed"));
    await expect(copy.run()).rejects.toThrow("killed");
    finish.mockRestore();
    Object.assign(copy.definition, { badRows: undefined });
    expect(keptIds(await copy.run())).toEqual(NEGATIVE);
  });

  it("A later batch does not bring the refused rows of the one before", async () => {
    const copy = await refusing(CHECKED, THOUSAND, "quarantine");
    await copy.run();
    copy.source.rows = [...THOUSAND, { id: 1000, total: "1" }];
    expect(keptIds(await copy.run())).toEqual(NEGATIVE);
    expect(await copy.progress()).toEqual({ rows: 1, bad: undefined });
    expect(await copy.db.query("SELECT batch_id, refused FROM millrace_batches")).toEqual([["1", null]]);
  });

  it("A vacuum removes what a failed try has staged, and nothing that a batch names or may name", async () => {
    const copy = await refusing(CHECKED, [], "quarantine");
    const { db } = copy;
    const { state, store } = await copy.run();
    const staged = async () => (await Array.fromAsync(store.list("quarantine/"))).map(({ key }) => key);
    const vacuum = () =>
      vacuumQuarantine({ ledger: state.ledger, store } as Ports, copy.definition.name, {
        cutOff: Number.POSITIVE_INFINITY,
        dryRun: false,
      });
    copy.source.rows = THOUSAND;
    // The try of the commit stages the refused rows, and fails at the end of its transaction.
    await db.query(`CREATE TABLE known (id bigint PRIMARY KEY);
      ALTER TABLE t ADD FOREIGN KEY (id) REFERENCES known DEFERRABLE INITIALLY DEFERRED`);
    await expect(copy.run()).rejects.toMatchObject({ code: "POSTGRES_FAILED" });
    const failed = await staged();
    expect(failed).toEqual([expect.stringMatching(/^quarantine\/0{12}\/refused-1-.*\.jsonl$/)]);
    expect((await vacuum()).files).toBe(0);
    await db.query("ALTER TABLE t DROP CONSTRAINT t_id_fkey");
    expect(keptIds(await copy.run())).toEqual(NEGATIVE);
    expect((await vacuum()).files).toBe(1);
    expect(await staged()).not.toContain(failed[0]);
    expect(keptIds(await copy.run())).toEqual(NEGATIVE);
  });
});
