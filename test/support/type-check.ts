import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./root.ts";

/**
 * Runs tsc on `files` in a user's project, with the flags that README.md shows. Returns its output.
 */
export function typeCheck(folder: string, files: readonly string[], flags: readonly string[] = []): string {
  const readme = readFileSync(join(ROOT, "README.md"), "utf8");
  const shown = /npx tsc (--.*) log\.ts/.exec(readme)?.[1]?.split(" ") ?? [];
  const tsc = [
    join(ROOT, "node_modules/typescript/bin/tsc"),
    "--typeRoots",
    join(ROOT, "node_modules/@types"),
  ];
  const { status, stdout } = spawnSync(process.execPath, [...tsc, ...flags, ...shown, ...files], {
    cwd: folder,
    encoding: "utf8",
  });
  return status === 0 ? stdout : `${stdout}\ntsc ended with ${status}`;
}
