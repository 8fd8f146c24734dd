import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import type { RecordBatch, Schema } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { recordBatchOf } from "../../shared/arrow/record-batches.ts";
import { rowsOf } from "../../shared/arrow/rows.ts";
import { Memory, MemoryStream } from "../../shared/connectors/memory/index.ts";
import { DataSourceReader } from "../../shared/contract/batch-reader.ts";
import { DataSource, type DataSourceClass } from "../../shared/contract/data-source.ts";
import { parseDdl } from "../../shared/contract/ddl/parse.ts";
import { AlwaysTrue, EqualTo, GreaterThan } from "../../shared/contract/filters.ts";
import { type BatchPipeline, type Pipeline, pipeline } from "../../shared/contract/pipeline.ts";
import { DataSourceStreamReader } from "../../shared/contract/stream-reader.ts";
import { predicatesOf } from "../../shared/contract/write/convert-filters.ts";
import type { Predicate } from "../../shared/contract/write/predicates.ts";
import { runPipeline } from "../../shared/testing/index.ts";
import { temporaryFolder } from "../support/folder.ts";
import { ROOT } from "../support/root.ts";

const { exports } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
  readonly exports: Readonly<Record<string, { readonly default: string } | string>>;
};

/** Returns the address of the sources behind a name such as `millrace/write`. */
function sourceOf(name: string): string {
  const target = exports[name.replace("millrace", ".")];
  if (typeof target !== "object") throw new Error(`${name} is no entry point`);
  const file = target.default.replace("./dist/", "").replace(/\.js$/, ".ts");
  return pathToFileURL(join(ROOT, file)).href;
}

type Table = DataSourceClass<{ readonly path: string }>;

/**
 * A folder of its own with the examples of a page, which import the sources in place of the
 * package.
 */
class Examples {
  readonly folder = temporaryFolder();

  constructor(page: string) {
    const text = readFileSync(join(ROOT, "docs", page), "utf8");
    for (const [, name = "", code = ""] of text.matchAll(/```ts\n\/\/ (\S+)\n([\s\S]*?)```/g)) {
      const source = code
        .replace(/"(millrace(?:\/[\w./-]+)?)"/g, (_, entry: string) => `"${sourceOf(entry)}"`)
        .replace(/"(\w+\.db)"/g, (_, file: string) => JSON.stringify(join(this.folder, file)));
      writeFileSync(join(this.folder, name), source);
    }
  }

  async load<T>(file: string): Promise<T> {
    return (await import(join(this.folder, file))) as T;
  }

  async pipeline(file: string): Promise<Pipeline> {
    return (await this.load<{ default: Pipeline }>(file)).default;
  }

  async table(file: string, name: string): Promise<Table> {
    return (await this.load<Record<string, Table>>(file))[name] as Table;
  }

  async samples(): Promise<DataSourceClass<Readonly<Record<string, unknown>>>> {
    return (await this.load<Record<string, never>>("samples.ts"))["Samples"] as never;
  }

  /** A pipeline from the samples to a table of `readings.db`. */
  async copyTo(table: Table, name = "copy"): Promise<BatchPipeline<{ readonly path: string }>> {
    const path = join(this.folder, "readings.db");
    return pipeline(name)
      .read.format(await this.samples())
      .write.format(table)
      .options({ path });
  }

  /** The ids of all rows in the files of a folder, in ascending order. */
  ids(folder: string): number[] {
    const files = readdirSync(join(this.folder, folder)).filter((name) => name.endsWith(".jsonl"));
    const lines = files.flatMap((name) =>
      readFileSync(join(this.folder, folder, name), "utf8")
        .trim()
        .split("\n"),
    );
    return lines.map((line) => (JSON.parse(line) as { id: number }).id).sort();
  }

  /** The temperatures in `readings.db`, in the order in which they were inserted. */
  celsius(): number[] {
    const db = new DatabaseSync(join(this.folder, "readings.db"));
    const rows = db.prepare("SELECT celsius FROM readings ORDER BY rowid").all();
    db.close();
    return rows.map(({ celsius }) => Number(celsius));
  }

  /** The number of rows of each day in `readings.db`, which may have no staged rows. */
  days(): Record<string, number> {
    const db = new DatabaseSync(join(this.folder, "readings.db"));
    const rows = db.prepare("SELECT day, count(*) AS rows FROM readings GROUP BY day ORDER BY day").all();
    const staged = db.prepare("SELECT count(*) AS rows FROM staged").get();
    db.close();
    expect(staged).toEqual({ rows: 0 });
    return Object.fromEntries(rows.map(({ day, rows: count }) => [day, count])) as Record<string, number>;
  }
}

/** Two partitions of whole numbers. */
class Numbers extends DataSource {
  override schema() {
    return "id int NOT NULL";
  }
  override reader() {
    return new (class extends DataSourceReader<number[]> {
      override partitions = () => [[1, 2], [3]];
      override *read(ids: number[]) {
        for (const id of ids) yield { id };
      }
    })();
  }
}

// biome-ignore lint/suspicious/noThenProperty: clauses have this word of SQL
const DELETE = { then: "delete" } as const;

const BOTH_DAYS = { "2026-11-21": 24, "2026-11-22": 24 };

describe("the page on tables of one's own", () => {
  it("The smallest table appends the rows of each run", async () => {
    const page = new Examples("write.md");
    const copy = await page.pipeline("copy.ts");
    const run = await runPipeline(copy);
    expect(page.days()).toEqual(BOTH_DAYS);
    await runPipeline(copy, { after: run });
    expect(page.days()).toEqual({ "2026-11-21": 48, "2026-11-22": 48 });
  });

  it.each([
    ["columns.ts", "Columns"],
    ["inserted.ts", "Inserted"],
  ])("The table of %s has each row once", async (file, name) => {
    const page = new Examples("write.md");
    await runPipeline((await page.copyTo(await page.table(file, name))).mode("append"));
    expect(page.days()).toEqual(BOTH_DAYS);
  });

  it("The replaceable table replaces all rows, those of a day, and those of the days that occur", async () => {
    const page = new Examples("write.md");
    const table = await page.table("replaceable.ts", "Replaceable");
    const copy = await page.copyTo(table);
    for (let run = 0; run < 2; run++) await runPipeline(copy.mode("append"));
    await runPipeline(await page.pipeline("one-day.ts"));
    expect(page.days()).toEqual({ "2026-11-21": 24, "2026-11-22": 48 });
    await runPipeline(copy.mode("append"));
    const ofDay = pipeline("day")
      .read.format(await page.samples())
      .filter(new EqualTo("day", "2026-11-21"))
      .write.format(table)
      .options({ path: join(page.folder, "readings.db") });
    await runPipeline(ofDay.overwritePartitions());
    expect(page.days()).toEqual({ "2026-11-21": 24, "2026-11-22": 72 });
    for (const all of [copy.truncate(), copy.overwrite(new AlwaysTrue())]) {
      await runPipeline(copy.mode("append"));
      await runPipeline(all);
      expect(page.days()).toEqual(BOTH_DAYS);
    }
    const later = new GreaterThan("day", "2026-11-21");
    await expect(runPipeline(ofDay.overwrite(later))).rejects.toMatchObject({ code: "WRITE_NOT_SUPPORTED" });
    expect(page.days()).toEqual(BOTH_DAYS);
  });

  it("The functions that evaluate predicates keep rows and plan files", async () => {
    const { kept, plan } = await new Examples("write.md").load<{
      kept(batch: RecordBatch, predicates: readonly Predicate[]): RecordBatch;
      plan(schema: Schema, predicates: readonly Predicate[], file: object): string;
    }>("matching.ts");
    const schema = parseDdl("day string, celsius double");
    const predicates = predicatesOf(new GreaterThan("day", "2026-11-21"));
    const batch = recordBatchOf(schema, [
      ["2026-11-21", 1],
      ["2026-11-22", 2],
      [null, 3],
    ]);
    expect([...rowsOf(kept(batch, predicates))].map(({ celsius }) => celsius)).toEqual([1, 3]);
    const file = (firstDay: string, lastDay: string) =>
      plan(schema, predicates, { rows: 9, firstDay, lastDay });
    expect(file("2026-11-22", "2026-11-23")).toBe("drop it");
    expect(file("2026-11-20", "2026-11-21")).toBe("keep it");
    expect(file("2026-11-21", "2026-11-22")).toBe("rewrite it");
  });

  it("The table with a metric reports it after the commit", async () => {
    const page = new Examples("write.md");
    const counted = await page.copyTo(await page.table("counted.ts", "Counted"), "counted");
    const { state } = await runPipeline(counted.mode("append"));
    expect((await state.ledger.batch("counted", 0))?.progress?.metrics).toEqual({
      "rows of the table": "48",
    });
  });

  it("The table for streams gets each epoch of a stream", async () => {
    class Days extends DataSource {
      override schema() {
        return "day string NOT NULL, celsius double NOT NULL";
      }
      override streamReader() {
        return new (class extends DataSourceStreamReader<{ n: number }, number> {
          override initialOffset = () => ({ n: 0 });
          override latestOffset = ({ n }: { n: number }) => ({ n: n + 1 });
          override partitions = (_start: { n: number }, { n }: { n: number }) => [n];
          override *read(n: number) {
            yield { day: `day ${n}`, celsius: n };
          }
        })();
      }
    }
    const page = new Examples("write.md");
    const table = await page.table("streamed.ts", "Streamed");
    const stream = pipeline("streamed").readStream.format(Days).writeStream.format(table);
    await runPipeline(stream.options({ path: join(page.folder, "readings.db") }), { batches: 3 });
    expect(page.days()).toEqual({ "day 1": 1, "day 2": 1, "day 3": 1 });
  });

  it("The table that requires a distribution gets the rows of a day in one task, and sorted", async () => {
    const page = new Examples("write.md");
    await runPipeline((await page.copyTo(await page.table("daily.ts", "Daily"))).mode("append"));
    expect(page.days()).toEqual(BOTH_DAYS);
    expect(page.celsius().slice(0, 24)).toEqual(
      page
        .celsius()
        .slice(0, 24)
        .sort((a, b) => a - b),
    );
  });

  it("The pipeline that sorts and exchanges its rows has each row once", async () => {
    const page = new Examples("write.md");
    await runPipeline(await page.pipeline("sorted.ts"));
    expect(page.days()).toEqual(BOTH_DAYS);
  });

  it("The rows of the changeable table are updated, deleted and merged", async () => {
    const page = new Examples("write.md");
    await runPipeline(await page.pipeline("copy.ts"));
    await runPipeline(await page.pipeline("warmer.ts"));
    const sum = (from: number, to: number) =>
      page
        .celsius()
        .slice(from, to)
        .reduce((a, b) => a + b, 0);
    expect(sum(0, 24) - sum(24, 48)).toBe(24);
    const changeable = await page.table("changeable.ts", "Changeable");
    const path = join(page.folder, "readings.db");
    const target = (name: string) => pipeline(name).table(changeable, { path });
    await runPipeline(target("delete").deleteWhere(new GreaterThan("celsius", 1)));
    // 0, 0.5 and 1 degrees of the second day, and 1 degree of the first.
    expect(page.days()).toEqual({ "2026-11-21": 1, "2026-11-22": 3 });
    const source = pipeline("merge").read.format(await page.samples());
    await runPipeline(target("merge").merge(source as never, { on: "day", whenMatched: [DELETE] }));
    expect(page.days()).toEqual({});
  });

  it("The table for streams of changes has the newest state of each day", async () => {
    const page = new Examples("write.md");
    const path = join(page.folder, "newest.db");
    const changes = new MemoryStream("newest-days", "day string, celsius double, t int, op string");
    const stream = pipeline("newest")
      .readStream.format(Memory)
      .options({ stream: "newest-days" })
      .writeStream.format(await page.table("newest.ts", "Newest"))
      .options({ path })
      .merge({
        keys: ["day"],
        sequenceBy: "t",
        applyAsDeletes: new EqualTo("op", "d"),
        exceptColumns: ["op"],
      });
    changes.addData([
      { day: "a", celsius: 1, t: 9, op: "u" },
      { day: "b", celsius: 2, t: 10, op: "d" },
      { day: "c", celsius: 3, t: 1, op: "u" },
    ]);
    const first = await runPipeline(stream);
    changes.addData([
      { day: "a", celsius: 4, t: 10, op: "u" },
      { day: "b", celsius: 5, t: 9, op: "u" },
    ]);
    await runPipeline(stream, { after: first });
    const db = new DatabaseSync(path);
    const rows = db.prepare("SELECT day, celsius FROM newest ORDER BY day").all();
    db.close();
    expect(rows.map(({ day, celsius }) => [day, celsius])).toEqual([
      ["a", 4],
      ["b", null],
      ["c", 3],
    ]);
  });

  it("The table that deletes loses the rows of one day", async () => {
    const page = new Examples("write.md");
    await runPipeline(await page.pipeline("copy.ts"));
    await page.load("delete.ts");
    expect(page.days()).toEqual({ "2026-11-22": 24 });
  });

  it("The replaceable table passes checkSink", async () => {
    await expect(new Examples("write.md").load("check.ts")).resolves.toBeDefined();
  });
});

describe("the page for those who know Spark's Scala and Java", () => {
  it("The whole table has the rows of each batch in files of its own", async () => {
    const page = new Examples("from-spark.md");
    const lines = pipeline("lines")
      .read.format(Numbers)
      .write.format(await page.table("lines-table.ts", "LinesTable"));
    const path = join(page.folder, "lines");
    await runPipeline(lines.options({ path }).mode("append"));
    await runPipeline(lines.options({ path }).mode("append"));
    expect(readdirSync(path)).toHaveLength(4);
    expect(page.ids("lines")).toEqual([1, 1, 2, 2, 3, 3]);
  });

  it("The writer of Spark 2.3 keeps to its four modes", async () => {
    const page = new Examples("from-spark.md");
    const old = pipeline("old")
      .read.format(Numbers)
      .write.format(await page.table("old.ts", "Old"));
    const to = old.options({ path: join(page.folder, "old") });
    await runPipeline(to.mode("ignore"));
    expect(page.ids("old")).toEqual([1, 2, 3]);
    await runPipeline(to.mode("ignore"));
    await expect(runPipeline(to.mode("errorifexists"))).rejects.toMatchObject({ code: "SINK_FAILED" });
    expect(page.ids("old")).toEqual([1, 2, 3]);
    await runPipeline(to.mode("append"));
    expect(page.ids("old")).toEqual([1, 1, 2, 2, 3, 3]);
    await runPipeline(to.mode("overwrite"));
    expect(page.ids("old")).toEqual([1, 2, 3]);
  });
});
