import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { PostgresServer } from "../postgres/databases.ts";
import { borrowPostgres } from "../postgres/shared.ts";
import { Page } from "../support/page.ts";
import type { UserFolder } from "../support/shell.ts";

const PAGE = new Page("docs/add-a-column.md");
const [FIRST = "", SECOND = ""] = PAGE.steps("Try it");
const ROWS = [
  { id: 1, total: "9.90", customer: null },
  { id: 2, total: "5.00", customer: null },
  { id: 4_000_000_000, total: "7.00", customer: "Bo" },
];

/** Returns the rows that `millrace cat --json` prints. */
async function rowsOf(user: UserFolder): Promise<unknown[]> {
  const lines = (await user.run("npx millrace cat orders --json")).trimEnd().split("\n");
  return lines.map((line) => JSON.parse(line) as unknown);
}

describe("the page on a new column", () => {
  it("The Arrow table takes over a new column and a wider one, as the page shows", async () => {
    const [warning = "", table = ""] = PAGE.outputs("Try it");
    const user = PAGE.folder();
    expect(await user.run(FIRST)).toContain(warning);
    PAGE.save(user, "orders.ts", 1, (code) => code.replace('.onSchemaChange("evolve")', ""));
    const refused = await user.run(`${SECOND.split("\n")[0]}\nnpx millrace run orders.ts || true`);
    expect(refused).toContain(PAGE.outputs("Without the choice")[0]);
    PAGE.save(user, "orders.ts");
    expect(await user.run(SECOND)).toContain(table);
    expect(await user.run(PAGE.commands("Rename a column"))).toMatch(/^ +5 +3\.00 +Cy$/m);
    expect(await rowsOf(user)).toEqual([...ROWS, { id: 5, total: "3.00", customer: "Cy" }]);
  });

  it("An Iceberg table takes over the same columns", async () => {
    const iceberg = (code: string) =>
      code
        .replace("{ ArrowTable }", "{ Iceberg }")
        .replace("arrow-table", "iceberg")
        .replace("format(ArrowTable)", 'format(Iceberg).options({ table: "shop.orders" })');
    const user = PAGE.folder(iceberg);
    await user.run(FIRST);
    PAGE.save(user, "orders.ts", 1, iceberg);
    await user.run(SECOND);
    expect(await rowsOf(user)).toEqual(ROWS);
  });

  it("A batch that a killed run left open keeps its columns, and the next one has the new column", async () => {
    const waiting = `(row) => {
      if (row.id !== 2) return true;
      while (!existsSync("go")) {
        writeFileSync("waits", "");
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
      }
      return true;
    }`;
    const waits = (code: string) =>
      `import { existsSync, writeFileSync } from "node:fs";\n${code.replace("  .writeStream", `  .filter(${waiting})\n  .writeStream`)}`;
    const user = PAGE.folder(waits);
    await user.run(
      FIRST.replace(
        /run orders\.ts\n$/,
        "run orders.ts &\nwhile [ ! -e waits ]; do sleep 0.1; done\nkill -9 $!\n",
      ),
    );
    PAGE.save(user, "orders.ts", 1, waits);
    await user.run(`touch go\n${SECOND}`);
    expect(await rowsOf(user)).toEqual(ROWS);
    expect(await user.run("npx millrace batches orders --json")).not.toContain('"aborted"');
  });
});

describe("the page on a new column, with PostgreSQL", () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await borrowPostgres();
  });
  afterAll(() => server.stop());

  it("A table in PostgreSQL takes over the same columns", async () => {
    const database = await server.database();
    const postgres = (code: string) =>
      code
        .replace("{ ArrowTable }", "{ Postgres }")
        .replace("arrow-table", "postgres")
        .replace("format(ArrowTable)", 'format(Postgres).options({ table: "orders" })');
    const environment = Object.entries(database.env).map(([name, value]) => `export ${name}="${value}"\n`);
    const user = PAGE.folder(postgres);
    await user.run(environment.join("") + FIRST);
    PAGE.save(user, "orders.ts", 1, postgres);
    await user.run(environment.join("") + SECOND.replace("npx millrace cat orders", ""));
    expect(await database.query("SELECT id, total, customer FROM orders ORDER BY id")).toEqual(
      ROWS.map(({ id, total, customer }) => [String(id), total, customer]),
    );
  });
});
