import { readFileSync } from "node:fs";
import { posix } from "node:path";
import { describe, expect, it } from "vitest";
import { checkBorders, type Manifest } from "../../scripts/borders/borders.ts";
import { circles } from "../../scripts/borders/circles.ts";
import { passage, ROOMS } from "../../scripts/borders/rooms.ts";

const PACKAGE = new URL("../../package.json", import.meta.url);
const MANIFEST = JSON.parse(readFileSync(PACKAGE, "utf8")) as Manifest;

/**
 * Every form in which a file names another file. `isType` is set if the form imports only types.
 */
const FORMS: readonly { readonly code: (path: string) => string; readonly isType?: true }[] = [
  { code: (path) => `import { a } from "${path}";` },
  { code: (path) => `import b, * as c from "${path}";` },
  { code: (path) => `import { type D } from "${path}";` },
  { code: (path) => `import "${path}";` },
  { code: (path) => `export { e } from "${path}";` },
  { code: (path) => `export * from "${path}";` },
  { code: (path) => `export * as f from "${path}";` },
  { code: (path) => `const g = () => import("${path}");` },
  { code: (path) => `const h = await import(\`${path}\`);` },
  { code: (path) => `const i = require("${path}");` },
  { code: (path) => `const j = import.meta.resolve("${path}");` },
  { code: (path) => `const k = new Worker(new URL("${path}", import.meta.url));` },
  { code: (path) => `import { l } from "./down/../${path}";` },
  { code: (path) => `import type { M } from "${path}";`, isType: true },
  { code: (path) => `export type { N } from "${path}";`, isType: true },
  { code: (path) => `export type * from "${path}";`, isType: true },
  { code: (path) => `type O = import("${path}").O;`, isType: true },
  { code: (path) => `type P = typeof import("${path}");`, isType: true },
];

const NAMES = Object.keys(ROOMS);
const TOOLS = NAMES.filter((name) => ROOMS[name]?.isTool);
const PRODUCT = NAMES.filter((name) => !TOOLS.includes(name) && name !== "dist");
const BELOW_CLI = PRODUCT.filter((name) => name !== "cli");
const CONNECTORS = NAMES.filter((name) => /^shared\/connectors\/(?!kit$)[^/]+$/.test(name));
const ENGINE = ["shared/engine", "shared/engine/ports", "shared/engine/run"];
const PLATFORMS = ["shared/platform/aws", "shared/platform/embedded", "shared/platform/memory"];
const EDGES = ["local", "functions", "infra", "cli", "bin"];

/** Returns the path of a file in a room. If the room is one file, returns the path of this file. */
function fileOf(room: string): string {
  return room.endsWith(".ts") ? room : posix.join(room, "planted.ts");
}

/**
 * Checks a file in the room `from` that imports a file in the room `to`, once in every form.
 * Returns the lines that the check prints.
 */
function plant(from: string, to: string): string[] {
  const [file, target] = [fileOf(from), fileOf(to)];
  const relative = posix.relative(posix.dirname(file), target);
  const path = relative.startsWith(".") ? relative : `./${relative}`;
  const source = FORMS.map(({ code }) => code(path)).join("\n");
  return checkBorders(new Map([[target, ""]]).set(file, source), MANIFEST);
}

/** Checks a file in a room that contains these lines. Returns the lines that the check prints. */
function refusals(room: string, ...lines: string[]): string[] {
  return checkBorders(new Map([[fileOf(room), lines.join("\n")]]), MANIFEST);
}

describe("the borders", () => {
  it.each([...PRODUCT, ...TOOLS])(
    "The borders let %s import the rooms in its line and refuse all others",
    (from) => {
      for (const to of NAMES.filter((name) => name !== from)) {
        const way = passage(from, to);
        const what = way === "types" ? `import nothing but types of ${to}` : `not import ${to}, only `;
        const expected = FORMS.flatMap(({ isType }, index) => {
          if (way === "values" || (way === "types" && isType)) return [];
          const line = `^${fileOf(from)}:${index + 1} imports \\S+: ${from} may ${what}`;
          return [expect.stringMatching(new RegExp(line)) as string];
        });
        expect(plant(from, to), `${from} → ${to}`).toEqual(expected);
      }
    },
  );

  // These pairs are written by hand and not read from the allow-list, so that the test finds a
  // mistake in the list.
  it.each([
    ["the contract imports no other room", ["shared/contract"], NAMES],
    ["the engine knows no platform, connector or edge", ENGINE, [...PLATFORMS, ...CONNECTORS, ...EDGES]],
    ["the engine does not know who runs it", ["shared/engine", "shared/engine/ports"], ["shared/engine/run"]],
    ["a port does not know the engine", ["shared/engine/ports"], ["shared/engine"]],
    ["a platform knows no other, nor the engine", PLATFORMS, [...PLATFORMS, "shared/engine"]],
    ["a connector knows no other connector", CONNECTORS, CONNECTORS],
    ["a connector knows no platform, engine or edge", CONNECTORS, [...PLATFORMS, ...ENGINE, ...EDGES]],
    ["the kit of connectors knows none of them", ["shared/connectors/kit"], [...CONNECTORS, ...ENGINE]],
    ["nobody imports cli", PRODUCT, ["cli"]],
    ["nobody but cli imports local, functions or infra", BELOW_CLI, ["local", "functions", "infra"]],
    ["the construct knows no engine and no platform", ["infra"], [...ENGINE, ...PLATFORMS]],
    ["handlers know no connector and no disk", ["functions"], [...CONNECTORS, "shared/platform/embedded"]],
    ["what is shipped knows no tool", PRODUCT, TOOLS],
  ] as const)("The borders keep two rooms apart that must not meet: %s", (_, froms, tos) => {
    for (const from of froms) {
      for (const to of tos.filter((name) => name !== from)) {
        expect(plant(from, to), `${from} → ${to}`).toHaveLength(FORMS.length);
      }
    }
  });

  it("The borders name only rooms that exist, and their imports make no circle", () => {
    const arrows = new Map<string, readonly string[]>();
    for (const [name, { imports, types = [] }] of Object.entries(ROOMS)) {
      if (imports !== "all") arrows.set(name, [...imports, ...types]);
    }
    expect([...arrows.values()].flat().filter((name) => !NAMES.includes(name))).toEqual([]);
    expect(circles(arrows)).toEqual([]);
  });

  it("The borders refuse a file outside of all rooms, and an import of such a file", () => {
    const files = new Map([
      ["shared/new/a.ts", ""],
      ["cli/a.ts", 'import "../shared/new/a.ts";\nimport "../../outside/a.ts";'],
    ]);
    expect(checkBorders(files, MANIFEST)).toEqual([
      "shared/new/a.ts is in no folder of scripts/borders/rooms.ts: add its folder to ROOMS",
      "cli/a.ts:1 imports ../shared/new/a.ts: shared/new/a.ts is in no folder of scripts/borders/rooms.ts: add its folder to ROOMS",
      "cli/a.ts:2 imports ../../outside/a.ts: ../outside/a.ts is in no folder of scripts/borders/rooms.ts: add its folder to ROOMS",
    ]);
  });

  it("The borders refuse an import of a module that does not exist", () => {
    expect(refusals("cli", 'import "./gone.ts";', 'import type { A } from "./gone.js";')).toEqual([
      "cli/planted.ts:1 imports ./gone.ts: there is no module cli/gone.ts",
      "cli/planted.ts:2 imports ./gone.js: there is no module cli/gone.js",
    ]);
  });

  it("The borders refuse a file that cannot be parsed", () => {
    expect(() => refusals("cli", "import {")).toThrow("cli/planted.ts cannot be parsed");
  });

  it("The borders let a URL name data and folders", () => {
    const lines = ["../package.json", "..", "pages/"].map((path) => `new URL("${path}", import.meta.url);`);
    expect(refusals("shared/contract", ...lines)).toEqual([]);
  });
});

describe("the packages of a room", () => {
  it.each<readonly [string, readonly string[]]>([
    ["node:fs", ["shared/contract", "shared/arrow", "shared/platform/memory", ...ENGINE, ...CONNECTORS]],
    ["node:sqlite", ["shared/connectors/iceberg", "shared/connectors/kit"]],
    ["node:zlib", ["shared/connectors/files", "shared/connectors/kit"]],
    [
      "hysnappy",
      PRODUCT.filter((name) => !["shared/connectors/kit", "shared/connectors/iceberg"].includes(name)),
    ],
    ["@aws-sdk/client-s3", ["shared/contract", "shared/arrow", ...ENGINE, ...CONNECTORS, "infra"]],
    ["@aws-sdk/client-s3", ["shared/platform/embedded", "shared/platform/memory"]],
    ["aws-cdk-lib/aws-s3", PRODUCT.filter((name) => name !== "infra")],
    ["pg", PRODUCT.filter((name) => name !== "shared/connectors/kit")],
    ["millrace/testing", PRODUCT],
    ["vitest", PRODUCT],
  ])("The borders refuse the package %s in a room that does not list it", (name, rooms) => {
    for (const room of rooms) {
      const why = expect.stringContaining(` imports ${name}: ${room} may not use `) as string;
      expect(refusals(room, `import "${name}";`, `type A = import("${name}").A;`)).toEqual([why, why]);
    }
  });

  it.each([
    ["shared/connectors/kit", "pg"],
    ["shared/connectors/files/node.ts", "node:zlib"],
    ["shared/platform/aws", "@aws-sdk/client-dynamodb"],
    ["infra", "aws-cdk-lib/aws-s3"],
    ["local", "node:sqlite"],
    ["examples", "millrace/connectors/files"],
    ["test", "vitest"],
  ])("The borders let %s use %s", (room, name) => {
    expect(refusals(room, `import "${name}";`, `const a = await import("${name}");`)).toEqual([]);
  });

  it("package.json has each package of a room, as a dependency or peer if the room is shipped", () => {
    const missing = "package.json does not have";
    expect(refusals("test", 'import "no-such-package";', 'import "node:nothing";', 'import "#a";')).toEqual([
      `test/planted.ts:1 imports no-such-package: ${missing} no-such-package`,
      `test/planted.ts:2 imports node:nothing: ${missing} node:nothing`,
      `test/planted.ts:3 imports #a: ${missing} #a`,
    ]);
    const manifest = { ...MANIFEST, dependencies: {}, devDependencies: { commander: "1" } };
    expect(checkBorders(new Map([["cli/a.ts", 'import "commander";']]), manifest)).toEqual([
      `cli/a.ts:1 imports commander: ${missing} commander as a dependency or a peer`,
    ]);
  });

  it("A package with a computed name is allowed only in code of a room that lists computed names", () => {
    const lines = ["import(path);", 'import("./" + name);', "new URL(path, import.meta.url);"];
    expect(refusals("local", ...lines)).toEqual([]);
    const told = (line: number) =>
      `shared/arrow/planted.ts:${line} imports computed names: shared/arrow may not use computed names, only apache-arrow, leven`;
    expect(refusals("shared/arrow", ...lines)).toEqual([1, 2, 3].map(told));
  });
});

describe("a circle of imports", () => {
  it.each(FORMS.map(({ code }) => code("./b.ts")))(
    "A circle of imports is refused if it begins with %s",
    (code) => {
      const files = new Map([
        ["local/a.ts", code],
        ["local/b.ts", 'import type { C } from "./c.ts";'],
        ["local/c.ts", 'export * from "./a.ts";'],
        ["local/d.ts", 'import "./a.ts";'],
      ]);
      expect(checkBorders(files, MANIFEST)).toEqual([
        "a circle of imports: local/a.ts → local/b.ts → local/c.ts → local/a.ts",
      ]);
    },
  );

  it("The check prints each circle of imports that has a file of its own", () => {
    const graph = new Map([
      ["a", ["b", "c"]],
      ["b", ["a"]],
      ["c", ["a", "d"]],
      ["d", ["d"]],
      ["e", ["a"]],
    ]);
    expect(circles(graph)).toEqual([
      "a circle of imports: a → b → a",
      "a circle of imports: c → a → c",
      "a circle of imports: d → d",
    ]);
  });
});
