import { describe, expect, it } from "vitest";
import { problemsOfCode, problemsOfPage } from "../../scripts/words/words.ts";

const words = (columns: number) => "word ".repeat(columns / 5).trimEnd();

describe("comments", () => {
  const problems = (...lines: readonly string[]) => problemsOfCode("shared/a.ts", lines.join("\n"));

  it("A comment may have 100 columns, and a line of code more", () => {
    const code = `const text = "${words(105)}";`;
    expect(problems(`// ${words(95)}x`, `/** ${words(90)} */`, code)).toEqual([]);
  });

  it("A comment of more than 100 columns is a problem, with the line in its file", () => {
    expect(problems("const a = 1;", "/**", ` * ${words(100)}`, " */")).toEqual([
      "shared/a.ts:3: a comment of 102 columns, more than 100",
    ]);
    expect(problems(`const a = 1; // ${words(90)}`)).toEqual([
      "shared/a.ts:1: a comment of 105 columns, more than 100",
    ]);
  });

  it.each([
    `// biome-ignore lint/suspicious/noExplicitAny: ${words(100)}`,
    `// Copyright ${words(100)}`,
    `// SPDX-License-Identifier: ${words(100)}`,
    ` * https://example.com/${"a".repeat(100)}`,
  ])("A long line of a comment is excused if it cannot be broken: %s", (line) => {
    expect(problems("/*", line, "*/")).toEqual([]);
  });

  it("A comment counts characters and not UTF-16 units", () => {
    expect(problems(`// ${"😀".repeat(97)}`)).toEqual([]);
  });

  it.each([
    ["Gives the rows.", "Gives"],
    ["Nothing, where nothing is new.", "Nothing, where"],
    ["Called late, where there is none.", "where there is none"],
    ["A file that is none.", "that is none"],
    ["Whoever comes next goes on.", "Whoever"],
    ["Told by somebody.", "somebody"],
    ["The sink may heed it.", "heed"],
    ["It is closed. Else it would hang.", ". Else"],
    ["What is read.", "What is read."],
    ["A name, as Spark has it.", "as Spark has it"],
    ["A key of one's own.", "of one's own"],
    ["All rows but what is gone.", "but what is"],
    ["Not all of it, as would a reader.", "as would"],
  ])("A comment with a phrase of the list is a problem: %s", (comment, phrase) => {
    expect(problems("const a = 1;", `/** ${comment} */`).join("\n")).toContain(
      `shared/a.ts:2: "${phrase}" in a comment: `,
    );
  });

  it.each([
    "Gives up after five tries.",
    "The docs page says where it is.",
    "If there is none, the default is used.",
    "What is the end of a stream?",
    "Returns `undefined` if nothing is new.",
    "The else branch throws.",
    "Every file that is none of the reader's business is skipped.",
  ])("A comment in plain English has no problem: %s", (comment) => {
    expect(problems(`// ${comment}`)).toEqual([]);
  });

  it("A phrase is found across lines and at the beginning of a paragraph or a list item", () => {
    expect(
      problems("/**", " * Rows of a", " * file that", " * is none.", " *", " * - Gives it.", " */"),
    ).toEqual([
      expect.stringContaining('shared/a.ts:1: "that is none"'),
      expect.stringContaining('shared/a.ts:1: "Gives"'),
    ]);
  });

  it("A phrase in code, or in a folder that is not checked, is no problem", () => {
    expect(problems('const a = "Gives what somebody wrote";')).toEqual([]);
    expect(problemsOfCode("docs/a.ts", "// Gives what somebody wrote.")).toEqual([]);
  });

  it("A file that cannot be parsed is an error with its path", () => {
    expect(() => problems("const")).toThrow("shared/a.ts cannot be parsed: ");
  });
});

describe("names of tests", () => {
  const problems = (code: string) => problemsOfCode("test/a.test.ts", code);

  it.each([
    ["is no sentence: it has fewer than four words", "An empty list"],
    ["begins with a lowercase letter", "an empty list makes no batch"],
    ["begins with a lowercase letter", "pyarrow reads every type"],
    ["ends with punctuation", "An empty list makes no batch."],
  ])("A name of a test is a problem if it %s: %s", (reason, name) => {
    for (const call of [
      "it",
      "test",
      "it.skipIf(a)",
      "it.each([1])",
      "it.each<number>`a`",
      "it.concurrent.each(a)",
    ])
      expect(problems(`\n${call}("${name}", () => {});`)).toEqual([
        `test/a.test.ts:2: the test "${name}" ${reason}`,
      ]);
  });

  it.each([
    "An empty list makes no batch",
    "%s has a value",
    "5,000 objects are read",
    "readStream returns a reader",
  ])("A name of a test may be a whole sentence: %s", (name) => {
    expect(problems(`it("${name}", () => {});`)).toEqual([]);
  });

  it("A name of a test may begin with code that is lowercase", () => {
    for (const code of ["read()", "package.json", "docs/aws.md", "`batch`", "rowsOf"])
      expect(problems(`it("${code} has three more words", () => {});`)).toEqual([]);
  });

  it("A name of a test may be a template, whose expressions count as words", () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is source code
    expect(problems("it(`${a} has three words`, () => {});")).toEqual([]);
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is source code
    expect(problems("it(`has ${a}`, () => {});")).toHaveLength(1);
  });

  it("A call that only looks like a test is no problem, nor is a group of tests", () => {
    const calls = [
      'describe("a list", f)',
      'test.run("x", 1)',
      'pattern.test("x", 1)',
      'it("x")',
      "it(a, f)",
    ];
    for (const call of calls) expect(problems(`${call};`)).toEqual([]);
    expect(problemsOfCode("local/a.ts", 'it("a list", f);')).toEqual([]);
  });
});

describe("pages", () => {
  const problems = (...lines: readonly string[]) => problemsOfPage("docs/a.md", lines.join("\n"));

  it("A page of Markdown with a line of more than 100 columns is a problem", () => {
    expect(problems(words(100), "", `- ${words(105)}`)).toEqual(["docs/a.md:3: 106 columns, more than 100"]);
  });

  it("A page of Markdown may have long tables, blocks of code, links and words", () => {
    const url = `https://example.com/${"a".repeat(100)}`;
    const long = [
      `| ${words(105)} |`,
      `- [a link](${url}).`,
      `[1]: ${url}`,
      `> ${url}`,
      `![a picture](${url})`,
    ];
    expect(problems(...long, "```sh", words(105), "```")).toEqual([]);
  });

  it("A page of Markdown is checked again after a block of code", () => {
    expect(problems("```", "```", words(105))).toHaveLength(1);
  });
});
