import { execFileSync, execSync } from "node:child_process";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { describe, expect, it } from "vitest";
import { wasmCommands } from "../../infra/optional-packages.ts";
import { temporaryFolder } from "../support/folder.ts";
import { PACKAGE } from "../support/package.ts";

const ENTRY = `${PACKAGE}/test/infra/iceberg.pipeline.ts`;

/** Code that writes a Parquet file by the connector's own writer, and prints its first bytes. */
const CODE = `
import { loadParquetWriter } from "${PACKAGE}/dist/shared/connectors/iceberg/files/parquet-file.js";
const wasm = await loadParquetWriter();
console.log(typeof wasm.transformParquetStream, new wasm.WriterPropertiesBuilder().build() !== undefined);
`;

describe("the bundle of a function with an Iceberg sink", () => {
  it("A bundle runs outside of the project with one file beside it", async () => {
    const folder = temporaryFolder();
    await build({
      stdin: { contents: CODE, resolveDir: PACKAGE },
      outfile: join(folder, "index.mjs"),
      bundle: true,
      platform: "node",
      format: "esm",
      mainFields: ["module", "main"],
      banner: {
        js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
      },
      logLevel: "error",
    });
    for (const command of wasmCommands(ENTRY, folder)) execSync(command);
    expect(readdirSync(folder).sort()).toEqual(["index.mjs", "parquet_wasm_bg.wasm"]);
    const output = execFileSync(process.execPath, [join(folder, "index.mjs")], {
      cwd: folder,
      encoding: "utf8",
      env: { PATH: "" },
    });
    expect(output).toBe("function true\n");
  });

  it("A pipeline without an Iceberg sink gets no file", () => {
    const entry = join(temporaryFolder(), "pipeline.mjs");
    writeFileSync(entry, "export default 1;\n");
    expect(wasmCommands(entry, temporaryFolder())).toEqual([]);
  });
});
