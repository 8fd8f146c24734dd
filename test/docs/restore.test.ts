import { spawnSync } from "node:child_process";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { installDebian } from "../../scripts/setup-python.ts";
import { Page } from "../support/page.ts";
import type { UserFolder } from "../support/shell.ts";

const PAGE = new Page("docs/restore.md");
/** How the page says that a backup is put back. */
const PUT_BACK = `rm -f .millrace/ledger.sqlite-wal .millrace/ledger.sqlite-shm
cp ledger-backup.sqlite .millrace/ledger.sqlite`;
const COUNT = "npx millrace cat lake --json | sort -u | wc -l; npx millrace cat lake --json | wc -l";

/** Rows from 0 to the number in the file `count`. */
const ORDERS = `
import { readFileSync } from "node:fs";
import { DataSource, DataSourceStreamReader, pipeline } from "millrace";
import { ArrowTable } from "millrace/connectors/arrow-table";

type Position = { id: number };
class Reader extends DataSourceStreamReader<Position, { from: number; to: number }> {
  override initialOffset = () => ({ id: 0 });
  override latestOffset = () => ({ id: Number(readFileSync("count", "utf8")) });
  override partitions = (start: Position, end: Position) => [{ from: start.id, to: end.id }];
  override *read({ from, to }: { from: number; to: number }) {
    for (let id = from; id < to; id++) yield { id: id === 50 && process.env["BROKEN"] ? "?" : id };
  }
}
class Orders extends DataSource {
  override schema = () => "id bigint NOT NULL";
  override streamReader = () => new Reader();
}
export default pipeline("orders").readStream.format(Orders).writeStream.format(ArrowTable).options({ path: "lake" });
`;

beforeAll(() => {
  const isThere = spawnSync("sqlite3", ["--version"]).status === 0;
  if (!isThere && !installDebian("sqlite3")) throw new Error("the page needs the command sqlite3");
});

/** A folder with `orders.ts`, whose batches of twenty rows each have reached `count`. */
async function shop(count: number): Promise<UserFolder> {
  const user = PAGE.folder();
  writeFileSync(join(user.path, "orders.ts"), ORDERS);
  writeFileSync(join(user.path, "bin/millrace"), '#!/bin/sh\nexec npx millrace "$@"\n');
  chmodSync(join(user.path, "bin/millrace"), 0o755);
  for (let to = 20; to <= count; to += 20) await user.run(runTo(to));
  return user;
}

const runTo = (count: number) => `printf ${count} > count\nnpx millrace run orders.ts`;

/** Expects that the table has each row up to `count` once. */
async function expectRows(user: UserFolder, count: number): Promise<void> {
  const [different, all] = (await user.run(COUNT)).trim().split("\n").map(Number);
  expect([different, all]).toEqual([count, count]);
}

/** Runs the command of a block, with a yes, and expects the output that the block shows. */
async function expectShown(user: UserFolder, block: string, before = ""): Promise<void> {
  const [first = "", ...shown] = block.trimEnd().split("\n");
  const isRun = !first.startsWith("$ ") || first.includes(" run ");
  const command = first.startsWith("$ ") ? first.slice(2) : "millrace run orders.ts";
  const output = await user.run(`${before}\n${command}${isRun ? " || true" : " --yes"}`);
  const expected = first.startsWith("$ ") ? shown : [first, ...shown];
  for (const line of expected) expect(masked(output, user.path)).toContain(masked(line, "/home/you/shop"));
}

/** Replaces what differs from run to run, and leaves out the question, which nobody is asked. */
function masked(text: string, folder: string): string {
  return text
    .replaceAll(folder, "FOLDER")
    .replace(/incarnation [0-9a-f]{8}/g, "incarnation ID")
    .replace(/^.*\[y\/N\] y$/gm, "");
}

describe("the page on restoring", () => {
  it("A ledger that was backed up as the page says is put back, and adopted", async () => {
    const user = await shop(40);
    await user.run(PAGE.commands("Back up"));
    await user.run(runTo(60));
    const [refused = "", adopted = ""] = PAGE.terminal("The ledger is older than the sink");
    await expectShown(user, refused, PUT_BACK);
    await expectShown(user, adopted);
    expect(await user.run(runTo(80))).toContain("batch 3: 60 → 80");
    await expectRows(user, 80);
  });

  it("A ledger that is lost is made anew, and adopted in each of the ways of the page", async () => {
    const user = await shop(40);
    const lost = "rm .millrace/ledger.sqlite*";
    const [refused = ""] = PAGE.terminal("The ledger is lost");
    await expectShown(user, refused, lost);
    await user.run("millrace adopt orders --yes");
    await user.run(runTo(60));
    await user.run(`${lost}\nmillrace adopt orders.ts --yes\n${runTo(80)}`);
    const toOffset = /`(millrace adopt orders --to-offset\n'\{"id":40\}')`/.exec(PAGE.text)?.[1] ?? "exit 9";
    await user.run(`${lost}\n${toOffset.replace("\n", " ").replace("40", "80")} --yes\n${runTo(100)}`);
    await expectRows(user, 100);
    await user.run(`${lost}\nrm -r lake\nmillrace adopt orders.ts --from-start --yes || true\n${runTo(100)}`);
    await expectRows(user, 100);
  });

  it("Of two homes one is removed, and the other goes on", async () => {
    const user = await shop(20);
    const behind = await user.run(
      `cp -r .millrace copy\nprintf 40 > count\nmillrace run orders.ts --home copy\nmillrace run orders.ts || true`,
    );
    expect(behind).toContain("error LEDGER_BEHIND_SINK");
    const forget =
      /`(millrace forget\norders --home copy)`/.exec(PAGE.text)?.[1]?.replace("\n", " ") ?? "exit 9";
    await user.run(`${forget} --yes\nmillrace adopt orders --yes\n${runTo(60)}`);
    await expectRows(user, 60);
  });

  it("A table that was restored or emptied gets the rows again that it lacks", async () => {
    const user = await shop(40);
    await user.run(`cp -r lake backup\n${runTo(60)}`);
    const [refused = ""] = PAGE.terminal("The sink is older than the ledger");
    await expectShown(user, refused, "rm -r lake && mv backup lake && printf 80 > count");
    const named = /`(millrace rewind .*)`\.$/m.exec(refused)?.[1] ?? "exit 9";
    await user.run(`${named} --yes\n${runTo(80)}`);
    await expectRows(user, 80);
    await user.run(`millrace rewind orders --to-start --yes\nrm -r lake\n${runTo(100)}`);
    await expectRows(user, 100);
  });

  it("A pipeline whose file was moved is accepted, and one of another kind is forgotten", async () => {
    const user = await shop(20);
    const [refused = ""] = PAGE.terminal("The pipeline has changed");
    const block = `$ millrace run other.ts\n${refused}`;
    await expectShown(user, block, "mv orders.ts other.ts");
    await user.run("millrace accept orders --yes\nprintf 40 > count\nmillrace run other.ts");
    await expectRows(user, 40);
    await user.run(
      "millrace forget orders --yes\nmillrace adopt other.ts --yes\nprintf 60 > count\nmillrace run other.ts",
    );
    await expectRows(user, 60);
  });

  it("A batch that cannot end is skipped", async () => {
    const user = await shop(40);
    await user.run("printf 60 > count\nBROKEN=1 millrace run orders.ts || true");
    const [skipped = ""] = PAGE.terminal("A batch cannot end");
    await expectShown(user, skipped);
    await user.run(runTo(80));
    await expectRows(user, 60);
  });
});
