import { cpSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { builtPackage } from "./built-package.ts";

/** `npm run build`: compiles the sources to `dist`, if they changed. */

const folder = builtPackage();
if (folder === undefined) process.exitCode = 1;
else {
  // The folder `next` is complete before it replaces `dist`, because a pipeline may be running from
  // `dist`.
  const next = `.cache/dist-${process.pid}`;
  cpSync(join(folder, "dist"), next, { recursive: true });
  rmSync("dist", { recursive: true, force: true });
  renameSync(next, "dist");
}
