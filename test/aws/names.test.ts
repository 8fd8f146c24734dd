import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { METRIC, METRICS_NAMESPACE, OUTPUT } from "../../shared/aws/names.ts";

const PAGE = readFileSync("docs/aws.md", "utf8");

/** Returns the names in the first column of the table whose first heading is `heading`. */
function documented(heading: string): string[] {
  const [, table = ""] = new RegExp(`^\\| ${heading} \\|.*\n((?:\\|.*\n)+)`, "m").exec(PAGE) ?? [];
  const rows = table.split("\n").map((row) => row.split("|")[1] ?? "");
  return rows.flatMap((cell) => [...cell.matchAll(/`(\w+)`/g)].map(([, name = ""]) => name));
}

describe("docs/aws.md", () => {
  it("docs/aws.md lists each metric and no other, and their namespace", () => {
    expect(documented("metric").sort()).toEqual(Object.values(METRIC).sort());
    expect(PAGE).toContain(`namespace \`${METRICS_NAMESPACE}\``);
  });

  it("docs/aws.md lists each field of the stack's output and no other", () => {
    expect(documented("field").sort()).toEqual(Object.values(OUTPUT).sort());
  });
});
