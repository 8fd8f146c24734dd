import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ROOT } from "../support/root.ts";

interface Surface {
  readonly methods: Readonly<Record<string, unknown>>;
  readonly fields: Readonly<Record<string, unknown>>;
}

const RECORDED = join(ROOT, "../shared/oracle/api_surface.json");

/** The declarations in TypeScript for PySpark's classes that have another form there. */
const OTHERWISE: Readonly<Record<string, RegExp>> = {
  DataSourceRegistration: /export function registerDataSource\(/,
  // Option names are case-insensitive: see test/contract/options/names.test.ts.
  CaseInsensitiveDict: /export interface DataSourceClass</,
  InputPartition: /export type InputPartition\b/,
  WriterCommitMessage: /export type WriterCommitMessage\b/,
  Filter: /export type Filter\b/,
  ReadLimit: /export type ReadLimit\b/,
};

/** Returns the body of an exported class or interface in the API report. */
function bodyOf(report: string, name: string): string | undefined {
  return new RegExp(`^export (?:abstract )?(?:class|interface) ${name}\\b[^]*?^}`, "m").exec(report)?.[0];
}

function camelCase(name: string): string {
  return name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
}

const isThere = existsSync(RECORDED);
if (!isThere) console.warn("../shared/oracle is not there: PySpark's API is not compared.");

describe.runIf(isThere)("the public API", () => {
  const surface = JSON.parse(isThere ? readFileSync(RECORDED, "utf8") : "{}") as Record<
    string,
    Surface | string
  >;
  const report = readFileSync(join(ROOT, "docs/api/millrace.api.md"), "utf8");
  const classes = Object.entries(surface).filter(
    (entry): entry is [string, Surface] => typeof entry[1] === "object",
  );

  it.each(classes)(
    "The public API has PySpark's %s with all its methods and fields",
    (name, { methods, fields }) => {
      const otherwise = OTHERWISE[name];
      if (otherwise !== undefined) {
        expect(report).toMatch(otherwise);
        return;
      }
      // The class that a filter extends may declare its fields.
      const body = bodyOf(report, name);
      expect(body, `${name} is not exported`).toBeDefined();
      const inherited = /extends (\w+Filter)\b/.test(body ?? "");
      const isOfClass = (member: string) => name === "DataSource" && member === "name";
      if (name === "DataSource")
        expect(bodyOf(report, "DataSourceClass")).toContain("readonly name: string;");
      for (const member of [...Object.keys(methods), ...(inherited ? [] : Object.keys(fields))]) {
        if (member !== "__init__" && !isOfClass(member))
          expect(body).toMatch(new RegExp(`\\b${camelCase(member)}\\b`));
      }
    },
  );
});
