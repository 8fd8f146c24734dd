import { spawnSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, expect, it } from "vitest";
import { temporaryFolder } from "../support/folder.ts";
import { ROOT } from "../support/root.ts";
import { conform, EXCEPTIONS, recordingsIn } from "./conformance.ts";
import { Script } from "./script.ts";
import { Spark } from "./write/spark.ts";

const LONGEST_SCENARIO_MILLISECONDS = 180_000;

for (const name of ["../shared/oracle", "../shared/write-oracle"]) {
  const folder = join(ROOT, name);
  const isThere = existsSync(folder);
  if (!isThere) console.warn(`these recordings of Spark are not here: no ${name}, so none is replayed`);

  describe.runIf(isThere)(`the recordings of Spark in ${name}`, () => {
    const recordings = isThere ? recordingsIn(folder) : [];

    it.each(recordings.map((path) => [basename(path, ".json"), path]))(
      "%s: the engine makes Spark's calls, except for the listed exceptions",
      async (_, path) => {
        const { verdict, detail } = await conform(path);
        expect(verdict, detail).not.toBe("differs");
      },
      LONGEST_SCENARIO_MILLISECONDS,
    );
  });
}

describe("npm run test:oracle", () => {
  const script = () =>
    new Script(1)
      .start({ ropts: { max: 2 }, trigger: { once: true } })
      .initialOffset()
      .latestOffset(0, 2)
      .initialOffset()
      .partitions(0, 2)
      .batch(0, 0);
  const run = (files: Record<string, unknown>) => {
    const folder = temporaryFolder();
    for (const [name, content] of Object.entries(files)) {
      writeFileSync(join(folder, `${name}.json`), JSON.stringify(content));
    }
    const { status, stdout, stderr } = spawnSync(process.execPath, ["scripts/oracle.ts", "--dir", folder], {
      cwd: ROOT,
      encoding: "utf8",
    });
    return { status, stdout, stderr };
  };

  it("The command replays any folder of recordings and prints the result of each", () => {
    const same = { ...script().ended().recording, scenario: "as_recorded" };
    const other = { ...new Script(1, "Queue").start().recording, scenario: "of_another_source" };
    const { status, stdout } = run({ same, other, surface: { classes: [] } });
    expect(stdout).toMatch(/^as_recorded +\d+ +same +made-where-needed .*stop-always/m);
    expect(stdout).toMatch(/^of_another_source +- +not built: the source "Queue"/m);
    expect(stdout).toMatch(/^surface +- +no trace/m);
    expect(stdout).toContain("1 same, 0 differ, 1 not built, 0 out of scope, 1 without a trace");
    expect(status).toBe(0);
  });

  it("The command tells recordings of connector.write by their content", () => {
    const written = new Spark().batch({}).recording;
    const op = { kind: "unsupported", why: "the continuous trigger", op: { kind: "stream", table: "t" } };
    const left = [...new Spark().recording.trace, { call: "== driver: run", args: { op } }];
    const { status, stdout } = run({
      written: { ...written, scenario: "written" },
      left: { scenario: "left", trace: [...left, { call: "== driver: ok", args: {} }] },
    });
    expect(stdout).toMatch(/^written +\d+ +same +chain-repeated/m);
    expect(stdout).toMatch(/^left +- +out of scope: the continuous trigger/m);
    expect(stdout).toContain("1 same, 0 differ, 0 not built, 1 out of scope, 0 without a trace");
    expect(status).toBe(0);
  });

  it("The command ends with 1 if a scenario differs, and shows the first difference", () => {
    const differing = { ...script().idle(2).ended().recording, scenario: "polls_once_more" };
    const { status, stdout } = run({ differing });
    expect(stdout).toMatch(/^polls_once_more +\d+ +differs/m);
    expect(stdout).toMatch(/Spark: +reader.latestOffset .*\n +Millrace: reader.stop/);
    expect(status).toBe(1);
  });

  it("The command counts a recording that cannot be replayed as one that differs", () => {
    const { status, stdout } = run({
      headless: { scenario: "headless", trace: [{ call: "reader.stop", args: {} }] },
    });
    expect(stdout).toContain(
      'headless differs: it cannot be replayed: Error: the trace begins with "reader.stop"',
    );
    expect(status).toBe(1);
  });

  it("The command says so if there is nothing to replay", () => {
    const { status, stderr } = run({});
    expect(stderr).toContain("there are no recordings in");
    expect(status).toBe(1);
  });
});

describe("the exceptions", () => {
  it("The exceptions have names of their own and say where they are documented", () => {
    expect(new Set(EXCEPTIONS.map(({ id }) => id)).size).toBe(EXCEPTIONS.length);
    for (const { id, reason } of EXCEPTIONS) {
      expect(id).toMatch(/^[a-z]+(-[a-z]+)+$/);
      expect(reason.length, id).toBeGreaterThan(60);
    }
  });
});
