import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { expect, it } from "vitest";
import { ROOT } from "../support/root.ts";

it("Each connector's folder has an entry point in the exports of package.json", () => {
  const { exports } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
    readonly exports: Readonly<Record<string, unknown>>;
  };
  const folders = readdirSync(join(ROOT, "shared/connectors")).filter((name) => name !== "kit");
  expect(folders.length).toBeGreaterThan(9);
  for (const name of folders)
    expect(exports).toHaveProperty([`./connectors/${name}`], {
      types: `./dist/shared/connectors/${name}/index.d.ts`,
      default: `./dist/shared/connectors/${name}/index.js`,
    });
});

it.each(["./write", "./write/spark-2.3"])(
  "The entry point %s brings the contract and Arrow only, not the engine and not the AWS SDK",
  async (name) => {
    const { exports } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
      readonly exports: Readonly<Record<string, { readonly default: string }>>;
    };
    const source = exports[name]?.default.replace("./dist/", "").replace(/\.js$/, ".ts") ?? "";
    const { metafile } = await build({
      entryPoints: [join(ROOT, source)],
      absWorkingDir: ROOT,
      bundle: true,
      format: "esm",
      packages: "external",
      metafile: true,
      write: false,
    });
    const inputs = Object.keys(metafile.inputs);
    expect(inputs).toContain("shared/contract/write/write.ts");
    expect(inputs.filter((file) => !file.startsWith("shared/contract/"))).toEqual([]);
    const imported = Object.values(metafile.outputs).flatMap(({ imports }) =>
      imports.map(({ path }) => path),
    );
    // `leven` finds the name that a wrong name of a predicate may stand for.
    expect(imported.filter((name) => name !== "apache-arrow" && name !== "leven")).toEqual([]);
  },
);
