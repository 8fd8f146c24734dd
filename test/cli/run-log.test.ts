import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { lastErrorOf } from "../../local/read-log.ts";
import { olderLog, RunLog } from "../../local/run-log.ts";
import { MillraceError, toMillraceError } from "../../shared/contract/errors.ts";
import { temporaryFolder } from "../support/folder.ts";

/** A log in a new folder, and what it says if it fails. */
function newLog(secrets: readonly { name: string; value: string }[] = []) {
  const path = join(temporaryFolder(), "logs/orders.log");
  const failures: MillraceError[] = [];
  const now = () => Date.UTC(2026, 10, 21, 3);
  const log = new RunLog({ path, secrets, now, onFailed: (error) => failures.push(error) });
  const lines = () =>
    readFileSync(path, "utf8")
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  return { path, log, lines, failures };
}

const failed = (message: string, batchId: number) =>
  toMillraceError(new TypeError(message), "SOURCE_FAILED", "read() failed", { batchId });

it("A log has the events of a run with their times, but not those that come all the time", () => {
  const { log, lines } = newLog();
  log.event({ type: "started", pipeline: "orders", trigger: "once" });
  log.event({ type: "progress", batchId: 0, partitionsDone: 0, partitions: 1, rows: 0, bytes: 0 });
  for (let i = 0; i < 3; i++) log.event({ type: "idle" });
  expect(lines().map(({ time, type }) => [time, type])).toEqual([
    ["2026-11-21T03:00:00.000Z", "started"],
    ["2026-11-21T03:00:00.000Z", "idle"],
  ]);
});

it("A log may be read by its owner only, and keeps the words of an error that the ledger must not", () => {
  const { path, log } = newLog();
  log.error(failed("the row of Ann", 3));
  log.error(failed("the row of Bob", 4));
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(lastErrorOf(path, 3)?.cause).toMatch(/^TypeError: the row of Ann\n {4}at /);
  expect(lastErrorOf(path, 5)).toBeUndefined();
});

it("A log has no secrets, however an error has spelt them", () => {
  const { path, log } = newLog([{ name: "env:TOKEN", value: "s3cret/word" }]);
  const texts = [
    "GET https://ann:pass@host/?q=s3cret%2Fword",
    Buffer.from("user:s3cret/word").toString("base64"),
    '{"access_token":"fresh-one"}',
  ];
  for (const text of texts) log.error(failed(text, 1));
  const text = readFileSync(path, "utf8");
  expect(text).not.toMatch(/s3cret|ann:pass|fresh-one/);
  expect(text).not.toContain(texts[1]);
  expect(text).toContain("{env:TOKEN}");
});

it("A log that has become large is put aside, and batch N still reads it", () => {
  const { path, log, lines } = newLog();
  log.error(failed("the row of Ann", 3));
  writeFileSync(path, `${"x".repeat(6 * 1024 * 1024)}\n${readFileSync(path, "utf8")}`);
  log.event({ type: "idle" });
  expect(lines()).toHaveLength(1);
  expect(existsSync(olderLog(path))).toBe(true);
  expect(lastErrorOf(path, 3)?.cause).toContain("the row of Ann");
});

it("A log that cannot be written says so once, and the run goes on", () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, "logs"), "a file");
  const failures: MillraceError[] = [];
  const log = new RunLog({
    path: join(folder, "logs/orders.log"),
    secrets: [],
    now: () => 0,
    onFailed: (error) => failures.push(error),
  });
  log.event({ type: "started", pipeline: "orders", trigger: "once" });
  log.error(new MillraceError("SINK_FAILED", "no"));
  expect(failures.map(({ code, hint }) => [code, hint])).toEqual([
    ["STORE_FAILED", expect.stringContaining("--no-log")],
  ]);
});

it("The last line of a log of a run that was killed does not matter", () => {
  const { path, log } = newLog();
  log.error(failed("the row of Ann", 3));
  writeFileSync(path, `${readFileSync(path, "utf8")}{"type":"err`);
  expect(lastErrorOf(path, 3)?.cause).toContain("the row of Ann");
});
