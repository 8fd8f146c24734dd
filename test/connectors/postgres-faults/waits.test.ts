import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ObjectStore } from "../../../shared/contract/object-store.ts";
import type { PostgresServer } from "../../postgres/databases.ts";
import { Desk } from "../../postgres/desk.ts";
import { PostgresProxy } from "../../postgres/proxy.ts";
import { borrowPostgres } from "../../postgres/shared.ts";
import { row, rowsOf } from "../postgres-sink/words.ts";

let server: PostgresServer;
beforeAll(async () => {
  server = await borrowPostgres();
});
afterAll(() => server.stop());

const desk = () => Desk.open(server);
const SHORT = { connectSeconds: 5, statementSeconds: 5, lockSeconds: 0.4, idleSeconds: 5 };

/** The same store, from which each object takes longer than the commit may be idle. */
function slowly(store: ObjectStore): ObjectStore {
  return new Proxy(store, {
    get(target, name) {
      if (name === "at") return (folder: string) => slowly(target.at(folder));
      const method = Reflect.get(target, name) as unknown;
      if (typeof method !== "function") return method;
      return async (...given: unknown[]) => {
        await new Promise((resolve) => setTimeout(resolve, 600));
        return (method as (...given: unknown[]) => unknown).apply(target, given);
      };
    },
  });
}

async function failureOf(promise: Promise<unknown>): Promise<Error & { hint?: string }> {
  return (await promise.then(
    () => new Error("it succeeded"),
    (error: unknown) => error,
  )) as Error & { hint?: string };
}

describe("waits of the PostgreSQL connector", () => {
  it("A commit that waits for a lock in vain says who holds it, and how to end that session", async () => {
    const d = await desk();
    await d.land([[row(1)]]);
    const other = await d.session();
    await other.query("SET application_name = 'backup'; BEGIN; LOCK TABLE t");
    const [[pid]] = (await other.query({ text: "SELECT pg_backend_pid()", rowMode: "array" })).rows as [
      [string],
    ];
    const error = await failureOf(d.land([[row(2, "secret row")]], SHORT, { batchId: 1 }));
    expect(error).toMatchObject({ code: "POSTGRES_FAILED", retryable: true });
    expect(error.message).toContain("55P03");
    expect(error.hint).toContain(`session ${pid} (user postgres, application "backup"`);
    expect(error.hint).toContain(`\`SELECT pg_terminate_backend(${pid})\``);
    expect(error.hint + error.message).not.toContain("secret row");
    await other.query("ROLLBACK");
    await d.land([[row(2)]], SHORT, { batchId: 1 });
    expect(await rowsOf(d)).toHaveLength(2);
  });

  it("A lookup of a batch waits for a commit that is still open, and does not guess", async () => {
    const d = await desk();
    await d.land([[row(1)]]);
    const writer = await d.writer(SHORT);
    const other = await d.session();
    // The commit of another process, up to its COMMIT.
    await other.query("BEGIN");
    await other.query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", [
      JSON.stringify(["millrace", "orders"]),
    ]);
    await other.query("UPDATE millrace_batches SET batch_id = 1, plan_id = 'plan-1'");
    const batch = d.context({ batchId: 1 });
    const error = await failureOf(writer.hasCommitted(1, batch));
    expect(error.message).toContain("waiting for an earlier commit of this pipeline");
    await other.query("COMMIT");
    expect(await writer.hasCommitted(1, batch)).toBe(true);
  });

  it("A statement without an answer says which one it was and for how long, and the connection ends", async () => {
    const d = await desk();
    const proxy = await PostgresProxy.start(server.port, { at: 0, kind: "swallow answer" });
    d.env = { ...d.env, PGPORT: String(proxy.port) };
    const error = await failureOf(
      (await d.source({ table: "t", statementSeconds: 0.2 })).schema() as Promise<unknown>,
    );
    expect(error).toMatchObject({
      code: "POSTGRES_FAILED",
      retryable: true,
      message: expect.stringMatching(/: no answer for 0\.22 s$/) as string,
    });
  });

  it("A server that takes the connection and never answers is an error within connectSeconds", async () => {
    const d = await desk();
    const proxy = await PostgresProxy.startSilent();
    d.env = { ...d.env, PGPORT: String(proxy.port) };
    const error = await failureOf(
      (await d.source({ table: "t", connectSeconds: 0.2 })).schema() as Promise<unknown>,
    );
    expect(error).toMatchObject({ code: "POSTGRES_FAILED", retryable: true });
    expect(error.message).toContain("connecting");
  });

  it("A commit that its server ends because it was idle can be tried again", async () => {
    const d = await desk();
    await d.land([[row(1)]]);
    const writer = await d.writer({ ...SHORT, idleSeconds: 0.2 });
    const messages = [await d.stage(writer, [row(2)])];
    const slow = { ...d.context({ batchId: 1 }), store: slowly(d.store) };
    expect(await failureOf(writer.commit(messages, 1, slow))).toMatchObject({
      code: "POSTGRES_FAILED",
      message: expect.stringContaining("SQLSTATE 25P03") as string,
      retryable: true,
    });
    await writer.commit(messages, 1, d.context({ batchId: 1 }));
    expect(await rowsOf(d)).toHaveLength(2);
  });
});
