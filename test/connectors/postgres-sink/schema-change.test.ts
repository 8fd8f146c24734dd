import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { exitCodeOf } from "../../../cli/exit-codes.ts";
import { Postgres, type PostgresOptions } from "../../../shared/connectors/postgres/index.ts";
import { type Pipeline, pipeline } from "../../../shared/contract/pipeline.ts";
import type { OnSchemaChange } from "../../../shared/contract/write/write-info.ts";
import { type PipelineRun, runPipeline } from "../../../shared/testing/index.ts";
import type { PostgresServer } from "../../postgres/databases.ts";
import { Desk } from "../../postgres/desk.ts";
import { borrowPostgres } from "../../postgres/shared.ts";
import { type Now, sourceOf } from "../../support/changing-source.ts";

let server: PostgresServer;
beforeAll(async () => {
  server = await borrowPostgres();
});
afterAll(() => server.stop());

/** Runs pipelines one after the other into the table `t`. */
class Runs {
  readonly desk: Desk;
  last: PipelineRun | undefined;

  constructor(desk: Desk) {
    this.desk = desk;
  }

  async run(now: Now, choice?: OnSchemaChange, options: Partial<PostgresOptions> = {}): Promise<void> {
    const made = pipeline("p")
      .readStream.format(sourceOf(now))
      .writeStream.format(Postgres)
      .options({ table: "t", ...options });
    const chosen = (choice === undefined ? made : made.onSchemaChange(choice)) as unknown as Pipeline;
    const { env } = this.desk;
    this.last = await runPipeline(chosen, this.last === undefined ? { env } : { after: this.last });
  }

  async rows(): Promise<Record<string, unknown>[]> {
    const rows = await this.desk.db.query("SELECT to_jsonb(t)::text FROM t ORDER BY t");
    return rows.flat().map((row) => JSON.parse(String(row)) as Record<string, unknown>);
  }

  async openBatch(): Promise<number | undefined> {
    return (await this.last?.state.ledger.head("p"))?.openBatchId;
  }
}

const runs = async () => new Runs(await Desk.open(server));
const OLD: Now = { count: 2, schema: "n int NOT NULL", row: (n) => ({ n }) };
const WIDER: Now = {
  count: 4,
  schema: "channel string, n bigint NOT NULL",
  row: (n) => ({ n: BigInt(n) + 2n ** 40n, channel: "web" }),
};

describe("a change of the rows' columns, of a PostgreSQL table", () => {
  it("A new column and a wider one are taken with the choice, in the transaction of the batch", async () => {
    const r = await runs();
    await r.run(OLD);
    await r.run(WIDER, "evolve");
    const types = await r.desk.db.query(
      "SELECT attname, format_type(atttypid, atttypmod) AS type FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0 ORDER BY attnum",
    );
    expect(types).toEqual([
      ["n", "bigint"],
      ["channel", "text"],
    ]);
    expect(await r.rows()).toEqual([
      { n: 0, channel: null },
      { n: 1, channel: null },
      { n: 2 ** 40 + 2, channel: "web" },
      { n: 2 ** 40 + 3, channel: "web" },
    ]);
  });

  it("Without the choice a new column is refused at planning, by its name, and leaves no batch open", async () => {
    const r = await runs();
    await r.run(OLD);
    await expect(r.run(WIDER)).rejects.toMatchObject({
      code: "POSTGRES_TABLE_MISMATCH",
      message: expect.stringContaining('"channel" (string) is new') as string,
      hint: expect.stringContaining('`.onSchemaChange("evolve")`') as string,
    });
    expect(await r.openBatch()).toBeUndefined();
    expect(await r.rows()).toHaveLength(2);
  });

  it("A transaction that fails takes its new column back", async () => {
    const r = await runs();
    await r.run(OLD);
    await r.desk.db.query("ALTER TABLE t ADD CHECK (n < 3)");
    await expect(
      r.run({ ...OLD, count: 4, schema: "n int NOT NULL, c string", row: (n) => ({ n, c: "x" }) }, "evolve"),
    ).rejects.toThrow(/23514/);
    expect(
      await r.desk.db.query("SELECT 1 FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'c'"),
    ).toEqual([]);
  });

  it.each([
    ["decimal(9,2)", "decimal(12,2)", "numeric(12,2)"],
    ["float", "double", "double precision"],
    ["smallint", "int", "integer"],
    ["bigint", "int", "bigint"],
    ["decimal(9,2)", "decimal(12,3)", "numeric(9,2)"],
    ["int", "double", "integer"],
  ])("A column of %s is under rows of %s a %s", async (before, after, expected) => {
    const r = await runs();
    const row = (n: number) => ({ n, v: 1 });
    await r.run({ count: 1, schema: `n int, v ${before}`, row });
    await r.run({ count: 2, schema: `n int, v ${after}`, row }, "evolve");
    const [found] = await r.desk.db.query(
      "SELECT format_type(atttypid, atttypmod) AS type FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'v'",
    );
    expect(found).toEqual([expected]);
    expect(await r.rows()).toHaveLength(2);
  });

  it("A key column that is new, and a column that the rows lack and the table needs, are refused with the choice", async () => {
    const r = await runs();
    await r.run(OLD);
    const keyed = { ...OLD, count: 3, schema: "n int, k int NOT NULL", row: (n: number) => ({ n, k: n }) };
    await expect(r.run(keyed, "evolve", { keyColumns: ["k"] })).rejects.toThrow(/"k" \(int\) is new/);
    const renamed = { ...OLD, count: 3, schema: "m int NOT NULL", row: (m: number) => ({ m }) };
    await expect(r.run(renamed, "evolve")).rejects.toMatchObject({
      code: "POSTGRES_TABLE_MISMATCH",
      message: expect.stringContaining('"n" is gone') as string,
      hint: expect.not.stringContaining("onSchemaChange") as string,
    });
    expect(await r.openBatch()).toBeUndefined();
  });

  it("The choice to ignore columns is refused before anything is read", async () => {
    const error: unknown = await (await runs()).run(OLD, "ignore").catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "WRITE_NOT_SUPPORTED" });
  });
});

describe("a change in the middle of a batch that was aborted", () => {
  const nullable = { ...OLD, schema: "n int" };
  it.each([
    ["a column is added", { ...OLD, schema: "n int, c string", row: (n: number) => ({ n, c: "x" }) }],
    ["a column is renamed", { ...OLD, schema: "m int", row: (m: number) => ({ m }) }],
  ])(
    "If %s, each row is there once with the choice, and nothing is written without it",
    async (_name, now) => {
      const r = await runs();
      await r.run(nullable);
      await expect(r.run({ ...nullable, count: 4, fails: true })).rejects.toThrow(/./);
      const changed = { ...now, count: 4 };
      await expect(r.run(changed)).rejects.toMatchObject({ code: "POSTGRES_TABLE_MISMATCH" });
      expect(await r.rows()).toHaveLength(2);
      await r.run(changed, "evolve");
      const numbers = (await r.rows()).map((row) => row["n"] ?? row["m"]);
      expect(numbers.sort()).toEqual([0, 1, 2, 3]);
    },
  );

  it("If a column is widened, each row is there once with the choice", async () => {
    const r = await runs();
    await r.run(nullable);
    await expect(r.run({ ...nullable, count: 4, fails: true })).rejects.toThrow(/./);
    await r.run({ count: 4, schema: "n bigint", row: (n) => ({ n: BigInt(n) + 2n ** 40n }) }, "evolve");
    expect(await r.rows()).toHaveLength(4);
  });
});

describe("a server that cannot be written", () => {
  it("A server that refuses the connection, or the password, ends the run before a batch is planned", async () => {
    const r = await runs();
    const refused: unknown = await r
      .run(OLD, undefined, { url: "postgres://me@127.0.0.1:1/x" })
      .catch((e: unknown) => e);
    expect(refused).toMatchObject({ code: "POSTGRES_FAILED", retryable: true });
    expect(exitCodeOf(refused)).toBe(1);
    const { env } = r.desk;
    r.desk.env = { ...env, PGPASSWORD: "wrong", PGUSER: "nobody-here" };
    const wrong: unknown = await r.run(OLD).catch((thrown: unknown) => thrown);
    expect(wrong).toMatchObject({
      code: "TARGET_UNUSABLE",
      message: expect.stringMatching(/SQLSTATE 28/) as string,
      retryable: false,
    });
    expect(exitCodeOf(wrong)).toBe(2);
    expect(await r.openBatch()).toBeUndefined();
  });
});
