import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tableFromIPC } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { tables } from "../../scripts/cost.ts";
import { errorsPage } from "../../scripts/errors-page.ts";
import { optionsPage } from "../../scripts/options-page.ts";
import { ERROR_CODES } from "../../shared/contract/error-codes.ts";
import { temporaryFolder } from "../support/folder.ts";
import { PACKAGE } from "../support/package.ts";
import { millrace } from "../support/process.ts";
import { ROOT } from "../support/root.ts";
import { typeCheck } from "../support/type-check.ts";

const read = (file: string) => readFileSync(join(ROOT, file), "utf8");

/** Returns the text of all sources except the table of error codes. */
function sources(): string {
  return ["shared", "local", "functions", "infra", "cli", "bin"]
    .flatMap((folder) =>
      readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" }).map((file) =>
        join(folder, file),
      ),
    )
    .filter((file) => /\.m?[jt]s$/.test(file) && !file.startsWith("shared/contract/error-codes"))
    .map(read)
    .join("\n");
}

describe("the documentation", () => {
  it("The documentation has the costs that scripts/cost.ts computes", () => {
    const plain = (text: string) => text.replace(/ +/g, " ").replace(/-{3,}/g, "---");
    const page = plain(read("docs/cost.md"));
    for (const table of tables()) expect(page).toContain(plain(table));
  });

  it("The documentation has the errors that shared/contract/error-codes.ts lists", () => {
    expect(read("docs/errors.md")).toBe(errorsPage());
  });

  it("The page of options has each option of each connector, as its schema and its docstring say", () => {
    expect(read("docs/options.md")).toBe(optionsPage());
  });

  it("The documentation lists no error that is never raised", () => {
    const raised = new Set(sources().match(/(?<=")[A-Z]+(?:_[A-Z]+)*(?=")/g));
    expect(Object.keys(ERROR_CODES).filter((code) => !raised.has(code))).toEqual([]);
  });

  it.each([
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "scripts/README.md",
    "test/oracle/README.md",
    ...readdirSync(join(ROOT, "docs/adr")).map((file) => `docs/adr/${file}`),
    ...readdirSync(join(ROOT, "docs"))
      .filter((file) => file.endsWith(".md"))
      .map((file) => `docs/${file}`),
  ])("The page %s links to files that exist", (page) => {
    const links = [...read(page).matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map((match) => match[1] ?? "");
    for (const link of links) expect(() => readFileSync(join(ROOT, page, "..", link))).not.toThrow();
  });

  it("The page on sources and sinks has classes that type-check, and a pipeline of them runs", async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, "node_modules"));
    symlinkSync(PACKAGE, join(folder, "node_modules/millrace"));
    for (const name of ["apache-arrow", "zod"])
      symlinkSync(join(ROOT, "node_modules", name), join(folder, "node_modules", name));
    writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
    writeFileSync(join(folder, "app.log"), "one\ntwo\n");
    mkdirSync(join(folder, "sales"));
    const sold = (amounts: readonly string[]) =>
      amounts.map((amount) => `${JSON.stringify({ product: "tea", amount })}\n`).join("");
    writeFileSync(join(folder, "sales/2025.jsonl"), sold(["500"]));
    const blocks = [...read("docs/sources-and-sinks.md").matchAll(/```ts\n\/\/ (\S+)\n([\s\S]*?)```/g)];
    const files = blocks.map(([, name = "", code = ""]) => {
      writeFileSync(join(folder, name), code.replace('processingTime: "10 seconds"', "availableNow: true"));
      return name;
    });
    expect(files).toEqual([
      ...["orders.ts", "log.ts", "lines.ts", "arrow-files.ts", "pipeline.ts"],
      ...["sales.ts", "report.ts", "yearly.ts", "shelf.ts"],
    ]);
    expect(typeCheck(folder, files, ["--allowImportingTsExtensions", "--skipLibCheck"])).toBe("");
    const pipeline = readFileSync(join(folder, "pipeline.ts"), "utf8");
    const toArrow = pipeline.replaceAll("Lines", "ArrowFiles").replace("./lines", "./arrow-files");
    writeFileSync(join(folder, "to-arrow.ts"), toArrow.replace('"log"', '"arrow"'));
    for (const file of ["pipeline.ts", "to-arrow.ts"]) {
      const { code, stderr } = await millrace(["run", file], {}, folder);
      expect(code, stderr).toBe(0);
    }
    const [staged = ""] = readdirSync(join(folder, ".millrace/arrow/staged"));
    const table = tableFromIPC(readFileSync(join(folder, ".millrace/arrow/staged", staged)));
    expect(table.getChild("text")?.toArray()).toEqual(["one", "two"]);
    const lines = join(folder, ".millrace/log/lines");
    expect(readdirSync(lines)).toEqual(["000000000000.jsonl"]);
    const [record = "", ...rows] = readFileSync(join(lines, "000000000000.jsonl"), "utf8").split("\n");
    expect(JSON.parse(record)).toMatchObject({ batchId: 0, start: { line: 0 }, end: { line: 2 } });
    expect(rows).toEqual(['{"line":0,"text":"one"}', '{"line":1,"text":"two"}', ""]);
    const reports = (name: string) => {
      const report = join(folder, ".millrace", name, "report");
      return readdirSync(report).map((file) => readFileSync(join(report, file), "utf8"));
    };
    for (const amounts of [["99.99"], ["7", "100.00", "1000"]]) {
      writeFileSync(join(folder, "sales/2026.jsonl"), sold(amounts));
      const { code, stderr } = await millrace(["run", "yearly.ts"], {}, folder);
      expect(code, stderr).toBe(0);
    }
    const row = (amount: string) => `{"year":2026,"product":"tea","amount":"${amount}"}\n`;
    expect(reports("yearly")).toEqual([row("100.00") + row("1000.00")]);
    expect((await millrace(["run", "shelf.ts"], {}, folder)).code).toBe(0);
    expect(reports("shelf")).toEqual(['{"title":"a/0"}\n{"title":"a/1"}\n{"title":"a/2"}\n']);
    const again = await millrace(["run", "shelf.ts"], {}, folder);
    expect([again.code, again.stderr]).toEqual([1, expect.stringContaining("TARGET_EXISTS")]);
    const shelf = readFileSync(join(folder, "shelf.ts"), "utf8");
    writeFileSync(
      join(folder, "wrong.ts"),
      shelf.replace('{ path: "a", maxRows: 3 }', "{ maxRow: 3 } as never"),
    );
    const wrong = await millrace(["run", "wrong.ts"], {}, folder);
    const [told = ""] = /^error OPTIONS_INVALID: .*$/m.exec(read("docs/sources-and-sinks.md")) ?? [];
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining(told)]);
  });

  it.each(["CONTRIBUTING.md", "docs/architecture.md", "docs/protocol.md", "test/oracle/README.md"])(
    "The page %s names files and folders that exist",
    (page) => {
      const named = read(page).matchAll(
        /`((?:shared|local|functions|infra|cli|scripts|test|docs)\/[\w./-]+)`/g,
      );
      const paths = [...named].map((match) => match[1] ?? "").filter((path) => !/\blines\b|NNNN/.test(path));
      expect(paths.length).toBeGreaterThan(1);
      expect(paths.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
    },
  );

  it("The table of scripts/README.md lists every script", () => {
    const rows =
      read("scripts/README.md")
        .match(/^\| `.*/gm)
        ?.join("\n") ?? "";
    const scripts = readdirSync(join(ROOT, "scripts")).filter((file) => file.endsWith(".ts"));
    expect(scripts.filter((file) => !rows.includes(`\`${file}\``))).toEqual([]);
  });
});
