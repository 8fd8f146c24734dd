import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { SqliteLedger } from "../../../shared/platform/embedded/sqlite-ledger.ts";
import { MIGRATIONS } from "../../../shared/platform/embedded/sqlite-schema.ts";
import { ledgerSuite } from "../../engine/ports/ledger/ledger.suite.ts";
import { temporaryFolder } from "../../support/folder.ts";

ledgerSuite("SQLite", async () => new SqliteLedger(join(temporaryFolder(), "ledger.sqlite")));

const REQUEST = {
  pipeline: "orders",
  owner: { id: "a", description: "run a" },
  now: 0,
  leaseMilliseconds: 10,
  newIncarnation: "i",
};

describe("the SQLite ledger", () => {
  it("The SQLite ledger keeps its content after it was closed, and two connections share it", async () => {
    const path = join(temporaryFolder(), "ledger.sqlite");
    const first = new SqliteLedger(path);
    const second = new SqliteLedger(path);
    await first.acquire(REQUEST);
    expect(await second.head("orders")).toEqual(await first.head("orders"));
    first.close();
    second.close();
    expect((await new SqliteLedger(path).head("orders"))?.epoch).toBe(1);
  });

  it("The SQLite ledger writes through a journal that survives a loss of power", () => {
    const path = join(temporaryFolder(), "ledger.sqlite");
    const ledger = new SqliteLedger(path);
    const database = new DatabaseSync(path);
    expect(database.prepare("PRAGMA journal_mode").get()).toEqual({ journal_mode: "wal" });
    database.close();
    ledger.close();
  });

  it("The SQLite ledger refuses a file of a later version and says so", () => {
    const path = join(temporaryFolder(), "ledger.sqlite");
    new SqliteLedger(path).close();
    const database = new DatabaseSync(path);
    database.exec("PRAGMA user_version = 99");
    database.close();
    expect(() => new SqliteLedger(path)).toThrowError(
      expect.objectContaining({ code: "LEDGER_VERSION" }) as Error,
    );
  });

  it("The SQLite ledger opens a file of an earlier version and keeps its content", async () => {
    const path = join(temporaryFolder(), "ledger.sqlite");
    const database = new DatabaseSync(path);
    database.exec(MIGRATIONS[0] ?? "");
    database.exec("PRAGMA user_version = 1");
    database.exec(
      "INSERT INTO heads (pipeline, incarnation, epoch, next_batch_id) VALUES ('orders', 'i', 7, 3)",
    );
    database.close();
    const ledger = new SqliteLedger(path);
    await ledger.pause("orders", { by: "ann", at: 1 });
    ledger.close();
    expect(await new SqliteLedger(path).head("orders")).toEqual({
      pipeline: "orders",
      incarnation: "i",
      epoch: 7,
      nextBatchId: 3,
      paused: { by: "ann", at: 1 },
    });
  });

  it("The SQLite ledger refuses a file that is no ledger and names it", () => {
    const folder = temporaryFolder();
    expect(() => new SqliteLedger(folder)).toThrowError(
      expect.objectContaining({ code: "LEDGER_FAILED", where: { path: folder } }) as Error,
    );
  });
});
