import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { Project } from "../cli/project.ts";
import { ROOT } from "../support/root.ts";

const PAGE = readFileSync(join(ROOT, "docs/backfill.md"), "utf8");

function example(language: string): string {
  return new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``).exec(PAGE)?.[1] ?? "";
}

it("The commands of the page on backfills do what it says, one after the other", async () => {
  const project = new Project();
  project.write("orders.ts", example("ts"));
  const printed: string[] = [];
  const lines = example("sh")
    .split("\n")
    .filter((line) => line !== "");
  expect(lines).toHaveLength(5);
  for (const line of lines) {
    const args = line.replace(" | wc -l", "").split(" ").slice(2);
    const { code, stdout, stderr } = await project.millrace(args);
    expect(code, `${line}: ${stderr}`).toBe(0);
    printed.push(stdout);
  }
  for (const shown of example("text")
    .split("\n")
    .filter((line) => line !== ""))
    expect(printed[2]?.split("\n")).toContain(shown);
  expect(printed[4]?.trimEnd().split("\n")).toHaveLength(42 * 864);
});
