import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Postgres, type PostgresOptions } from "../../../shared/connectors/postgres/index.ts";
import { DataSource } from "../../../shared/contract/data-source.ts";
import { MillraceError } from "../../../shared/contract/errors.ts";
import { type Pipeline, pipeline } from "../../../shared/contract/pipeline.ts";
import { DataSourceStreamReader, type Row } from "../../../shared/contract/stream-reader.ts";
import { readQuarantine } from "../../../shared/engine/bad-rows/quarantine.ts";
import type { Database, PostgresServer } from "../../postgres/databases.ts";
import { BREAKS, PostgresProxy, type ProxyOptions } from "../../postgres/proxy.ts";
import { borrowPostgres } from "../../postgres/shared.ts";
import { EngineWorld, type Run } from "../../support/engine.ts";

/** Milliseconds: more than the client waits; less, and more, than a commit may be idle. */
const [DELAY, LONG_DELAY] = [400, 700];
const LIMITS = { connectSeconds: 0.5, statementSeconds: 0.3, lockSeconds: 0.3, idleSeconds: 0.5 };
let server: PostgresServer;
beforeAll(async () => {
  server = await borrowPostgres();
});
afterAll(() => server.stop());

/** Batches of two rows: 0 and 1, then 2 and 3, and so on. */
class Reader extends DataSourceStreamReader<{ n: number }, { n: number }> {
  override initialOffset(): { n: number } {
    return { n: 0 };
  }
  override latestOffset(start: { n: number }): { n: number } {
    return { n: Math.min(4, start.n + 2) };
  }
  override partitions(start: { n: number }, end: { n: number }): { n: number }[] {
    return Array.from({ length: end.n - start.n }, (_, i) => ({ n: start.n + i }));
  }
  override *read({ n }: { n: number }): Generator<Row> {
    yield { id: n };
  }
}
class Numbers extends DataSource {
  override schema(): string {
    return "id bigint NOT NULL";
  }
  override streamReader(): Reader {
    return new Reader();
  }
}

const copyTo = ({ connection }: Database, port: number, limits: Partial<PostgresOptions>): Pipeline =>
  pipeline("numbers")
    .readStream.format(Numbers)
    .writeStream.format(Postgres)
    .options({ connection: { ...connection, port }, table: "t", ...limits })
    .onBadRow("quarantine") as unknown as Pipeline;

/** A pipeline into a database of its own, behind a proxy. Each run is another process. */
class Copy {
  readonly db: Database;
  readonly world = new EngineWorld();
  readonly failures: unknown[] = [];
  readonly #definition: Pipeline;
  #runs = 0;

  constructor(db: Database, port: number, limits: Partial<PostgresOptions>) {
    this.db = db;
    this.#definition = copyTo(db, port, limits);
  }

  async next(): Promise<Run> {
    const { runtime } = this.world.ports();
    const sleep = () => new Promise<void>((resolve) => setTimeout(resolve, 50));
    return await this.world.run(this.#definition, `run ${++this.#runs}`, {
      runtime: { ...runtime, env: this.db.env, sleep },
    });
  }

  /** Runs until both batches are committed. A run that fails is followed by the next one. */
  async toTheEnd(): Promise<void> {
    for (let batches = 0; batches < 2 && this.#runs < 12; ) {
      const run = await this.next();
      try {
        const planned = await run.plan({ ended: true });
        if (planned.kind !== "batch") return;
        for (const partition of planned.todo) await run.write(planned, partition);
        const { batch, failure } = await run.finalize(planned);
        if (failure !== undefined) this.failures.push(failure);
        if (batch.state === "committed") batches++;
      } catch (error) {
        this.failures.push(error);
      }
    }
  }

  /** The ids of the quarantined rows. */
  async kept(): Promise<string[]> {
    const { ledger } = this.world;
    const rows = await Array.fromAsync(readQuarantine(ledger, this.world.ports().store, "numbers"));
    return rows.map(({ row }) => (row as { id: { $bigint: string } }).id.$bigint);
  }

  async rows(): Promise<string[]> {
    return (await this.db.query("SELECT id FROM t ORDER BY id")).map(([id]) => id ?? "");
  }
}

/** Without a break, the limits are the defaults, so that a slow machine does not reach them. */
async function copyThrough(options: ProxyOptions = {}) {
  const db = await server.database();
  const proxy = await PostgresProxy.start(server.port, options);
  return { proxy, copy: new Copy(db, proxy.port, options.kind === undefined ? {} : LIMITS) };
}

/** Runs `body` for each number below `count`, a few at once. */
async function forEach(count: number, body: (n: number) => Promise<void>): Promise<void> {
  let next = 0;
  const loop = async () => {
    while (next < count) await body(next++);
  };
  await Promise.all(Array.from({ length: 6 }, loop));
}

describe("a commit behind a proxy that breaks one statement", () => {
  const cases = [
    ...BREAKS.map((kind) => ({ kind, delay: DELAY })),
    { kind: "delay" as const, delay: LONG_DELAY },
  ];

  it.each(cases)(
    "Each row is there once whichever statement is broken by: $kind, $delay ms",
    {
      timeout: 180_000,
    },
    async ({ kind, delay }) => {
      const whole = await copyThrough();
      await whole.copy.toTheEnd();
      expect(await whole.copy.rows()).toEqual(["0", "1", "2", "3"]);
      expect(whole.copy.failures).toEqual([]);
      const count = whole.proxy.statements.length;
      expect(count).toBeGreaterThan(10);
      await forEach(count, async (at) => {
        const { proxy, copy } = await copyThrough({ at, kind, delay });
        await copy.toTheEnd();
        expect(proxy.broke).toBe(true);
        expect({ at, rows: await copy.rows() }).toEqual({ at, rows: ["0", "1", "2", "3"] });
        for (const failure of copy.failures) expect(failure).toBeInstanceOf(MillraceError);
      });
    },
  );

  it.each([
    { kind: "drop before" as const, delay: DELAY },
    { kind: "drop after" as const, delay: DELAY },
  ])(
    "A row that the table refuses is kept once whichever statement is broken by: $kind",
    { timeout: 180_000 },
    async ({ kind, delay }) => {
      const refusing = "CREATE TABLE t (id bigint CHECK (id <> 2))";
      const whole = await copyThrough();
      await whole.copy.db.query(refusing);
      await whole.copy.toTheEnd();
      expect([await whole.copy.rows(), await whole.copy.kept()]).toEqual([["0", "1", "3"], ["2"]]);
      await forEach(whole.proxy.statements.length, async (at) => {
        const { proxy, copy } = await copyThrough({ at, kind, delay });
        await copy.db.query(refusing);
        await copy.toTheEnd();
        expect(proxy.broke).toBe(true);
        const found = { at, rows: await copy.rows(), kept: await copy.kept() };
        expect(found).toEqual({ at, rows: ["0", "1", "3"], kept: ["2"] });
      });
    },
  );
});
