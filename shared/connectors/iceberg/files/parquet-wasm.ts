import { existsSync, readFileSync } from "node:fs";
// The name createRequire would collide with that of a bundle's banner.
import * as nodeModule from "node:module";
import { join } from "node:path";
import * as wasm from "parquet-wasm/esm";

/**
 * The package parquet-wasm, ready for use. Its entry for Node reads its code beside itself, which
 * is not there in a bundle. So the code is read here: beside the bundle, or else from the package.
 */

/** The construct copies the code of parquet-wasm to this name beside a bundle. */
const NAME = "parquet_wasm_bg.wasm";

const besideBundle = join(import.meta.dirname, NAME);
const path = existsSync(besideBundle)
  ? besideBundle
  : nodeModule.createRequire(import.meta.url).resolve("parquet-wasm/esm/parquet_wasm_bg.wasm");

wasm.initSync({ module: readFileSync(path) });

export * from "parquet-wasm/esm";
