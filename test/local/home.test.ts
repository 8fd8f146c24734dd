import { chmodSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Home } from "../../local/home.ts";
import { OwnerLock } from "../../local/owner-lock.ts";
import { failure } from "../support/api-server.ts";
import { temporaryFolder } from "../support/folder.ts";

const rightsOf = (path: string) => (statSync(path).mode & 0o777).toString(8);

/** Uses everything that a run writes into its home. */
async function used(root: string): Promise<Home> {
  const home = new Home(root);
  const ledger = await home.openLedger({ create: true });
  const lock = new OwnerLock(home.ownersFolder, "me");
  const ports = home.ports("orders", ledger);
  await ports.store.put("table/data/a.arrow", new Uint8Array(3));
  await ports.store.at("source").put("seen.json", new Uint8Array(3));
  await home.rememberEntry("orders", "/orders.ts");
  await ledger.acquire({
    pipeline: "orders",
    owner: lock.owner,
    now: 0,
    leaseMilliseconds: 1,
    newIncarnation: "i",
  });
  return home;
}

function rightsBelow(root: string): Record<string, string> {
  const names = readdirSync(root, { recursive: true, encoding: "utf8" });
  return Object.fromEntries(names.map((name) => [name, rightsOf(join(root, name))]));
}

describe.skipIf(process.platform === "win32")("the rights of a home", () => {
  it("A home that Millrace creates, and everything in it, is for its owner only", async () => {
    const root = join(temporaryFolder(), "state", "home");
    const home = await used(root);
    expect(rightsOf(root)).toBe("700");
    const rights = rightsBelow(root);
    expect(Object.keys(rights)).toEqual(
      expect.arrayContaining([
        "ledger.sqlite",
        "ledger.sqlite-wal",
        "ledger.sqlite-shm",
        ".owners/me.lock",
        "orders/pipeline.json",
        "orders/table/data/a.arrow",
        "orders/source/seen.json",
      ]),
    );
    expect(new Set(Object.values(rights))).toEqual(new Set(["600", "700"]));
    expect(home.isReadableByOthers).toBe(false);
  });

  it("A home that exists keeps its rights, and what is new in it gets no more than these", async () => {
    const root = join(temporaryFolder(), "home");
    mkdirSync(root);
    chmodSync(root, 0o750);
    const home = await used(root);
    expect(rightsOf(root)).toBe("750");
    expect(new Set(Object.values(rightsBelow(root)))).toEqual(new Set(["640", "750"]));
    expect(home.isReadableByOthers).toBe(false);
    chmodSync(root, 0o755);
    expect(home.isReadableByOthers).toBe(true);
  });

  it("A folder outside of the home gets the rights that the umask leaves", async () => {
    const folder = temporaryFolder();
    const home = new Home(join(folder, "home"));
    const { openStore } = home.ports("orders", await home.openLedger({ create: true }));
    await openStore(join(folder, "table")).put("a.arrow", new Uint8Array(1));
    expect(rightsOf(join(folder, "table/a.arrow"))).toBe((0o666 & ~process.umask()).toString(8));
  });
});

describe("a damaged home", () => {
  it("A damaged pipeline.json is an error with the file and the command that writes it again", async () => {
    const root = temporaryFolder();
    const home = await used(root);
    writeFileSync(join(root, "orders/pipeline.json"), "{");
    const error = await failure(() => home.entryOf("orders"));
    expect(error).toMatchObject({
      code: "STORE_FAILED",
      where: { path: join(root, "orders/pipeline.json") },
    });
    expect(error.hint).toContain("`millrace run pipeline.ts`");
  });

  it.each([
    ["garbage", Buffer.alloc(20_000, 0xa7)],
    ["a text", Buffer.from("this is no database, but a text of some length")],
  ])(
    "A ledger file that is %s is called damaged, for a run and for status, with a way out",
    async (_, bytes) => {
      const root = temporaryFolder();
      writeFileSync(join(root, "ledger.sqlite"), bytes);
      for (const create of [true, false]) {
        const error = await failure(() => new Home(root).openLedger({ create }));
        expect(error).toMatchObject({ code: "LEDGER_DAMAGED", where: { path: join(root, "ledger.sqlite") } });
        expect(error.hint).toContain("from a backup");
        expect(error.hint).not.toMatch(/free space|nothing is lost/i);
      }
    },
  );

  it("A ledger whose pages are damaged after its head is called damaged when they are read", async () => {
    const root = temporaryFolder();
    await used(root);
    const copy = temporaryFolder();
    // A file with a sound head, and pages of something else.
    const { DatabaseSync } = await import("node:sqlite");
    const database = new DatabaseSync(join(root, "ledger.sqlite"));
    database.exec(`VACUUM INTO '${join(copy, "ledger.sqlite")}'`);
    database.close();
    const bytes = Buffer.from(
      await import("node:fs").then(({ readFileSync }) => readFileSync(join(copy, "ledger.sqlite"))),
    );
    bytes.fill(0xa7, 4096);
    writeFileSync(join(copy, "ledger.sqlite"), bytes);
    const error = await failure(async () => {
      const ledger = await new Home(copy).openLedger({ create: false });
      await ledger.pipelines();
    });
    expect(error).toMatchObject({ code: "LEDGER_DAMAGED", where: { path: join(copy, "ledger.sqlite") } });
  });
});
