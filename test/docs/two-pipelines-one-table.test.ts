import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { PostgresServer } from "../postgres/databases.ts";
import { borrowPostgres } from "../postgres/shared.ts";
import { Page } from "../support/page.ts";

const PAGE = new Page("docs/two-pipelines-one-table.md");
/** The commands that run both pipelines at once. */
const BOTH = PAGE.commands().split("\n").slice(0, 3).join("\n");

/** Replaces the sink of the page, which is an Arrow table. */
function withSink(name: string, file: string, options: string): (code: string) => string {
  return (code) =>
    code
      .replace("{ ArrowTable }", `{ ${name} }`)
      .replace("format(ArrowTable)", `format(${name})`)
      .replace("arrow-table", file)
      .replace('{ path: "lake/orders", partitionBy: ["shop"] }', options);
}

describe("the page on two pipelines and one table", () => {
  it("Two pipelines append to one Arrow table at once, and one of them replaces its own partition", async () => {
    const user = PAGE.folder();
    expect(await user.run(PAGE.commands())).toContain(PAGE.outputs()[0]);
    const replaced = await user.run(PAGE.commands("What is not refused"));
    expect(replaced).toContain(PAGE.outputs("What is not refused")[0]);
    const gone = ["npx millrace vacuum --older-than 0s", "npx millrace forget us --yes"];
    const count = PAGE.commands("What is not refused").split("\n")[1] ?? "";
    expect(await user.run([...gone, count].join("\n"))).toContain('60 "shop":"us"');
  });

  it("Two pipelines append to one Iceberg table at once", async () => {
    const user = PAGE.folder(withSink("Iceberg", "iceberg", '{ table: "shop.orders" }'));
    await user.run(BOTH);
    const rows = (await user.run("npx millrace cat shop.orders --json")).trimEnd().split("\n");
    expect(rows.filter((row) => row.includes('"shop":"eu"'))).toHaveLength(60);
    expect(rows.filter((row) => row.includes('"shop":"us"'))).toHaveLength(60);
  });

  it.each([
    [
      "TABLE_SCHEMA_MISMATCH",
      ["shop: () => name", "shop: () => name, extra: () => 1"],
      ["shop string NOT NULL", "shop string NOT NULL, extra int"],
    ],
    ["TABLE_PARTITIONS_MISMATCH", [', partitionBy: \\["shop"\\]', ""]],
    ["TARGET_EXISTS", [".readStream", ".read"], [".writeStream", ".write"]],
    ["PIPELINE_CHANGED", ["pipeline(name)", 'pipeline("eu")']],
  ])("A second pipeline is refused with %s, as the page says", async (code, ...edits: string[][]) => {
    const user = PAGE.folder();
    await user.run("npx millrace run eu.ts");
    for (const [from = "", to = ""] of edits) await user.run(`sed -i 's|${from}|${to}|' shop.ts`);
    expect(await user.run("npx millrace run us.ts || true")).toContain(`error ${code}`);
    expect((await user.run("npx millrace cat lake/orders --json")).trimEnd().split("\n")).toHaveLength(60);
  });

  it("The same name in two homes is refused with LEDGER_BEHIND_SINK, as the page says", async () => {
    const user = PAGE.folder();
    await user.run("npx millrace run eu.ts");
    const refused = await user.run("npx millrace run eu.ts --home other || true");
    expect(refused).toContain("error LEDGER_BEHIND_SINK");
  });
});

describe("the page on two pipelines and one table, with PostgreSQL", () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await borrowPostgres();
  });
  afterAll(() => server.stop());

  it.each([
    [
      "both rows are there",
      '{ table: "orders" }',
      [
        ["eu", "60"],
        ["us", "60"],
      ],
    ],
    ["with keyColumns the later commit counts", '{ table: "orders", keyColumns: ["id"] }', [["us", "60"]]],
  ])("Of rows with equal keys, %s", async (_rule, options, expected) => {
    const database = await server.database();
    const user = PAGE.folder(withSink("Postgres", "postgres", options));
    const environment = Object.entries(database.env).map(([name, value]) => `export ${name}="${value}"\n`);
    const inTurn = "npx millrace run eu.ts\nnpx millrace run us.ts";
    await user.run(environment.join("") + (expected.length === 2 ? BOTH : inTurn));
    expect(await database.query("SELECT shop, count(*) FROM orders GROUP BY shop ORDER BY shop")).toEqual(
      expected,
    );
  });
});
