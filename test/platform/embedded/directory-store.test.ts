import { spawn } from "node:child_process";
import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { DirectoryStore } from "../../../shared/platform/embedded/directory-store.ts";
import { storeSuite } from "../../engine/ports/store.suite.ts";
import { temporaryFolder } from "../../support/folder.ts";
import { filesBelow } from "../../support/process.ts";
import { ROOT } from "../../support/root.ts";

storeSuite("a directory", async () => new DirectoryStore(temporaryFolder()));

describe("a directory", () => {
  it("The directory store keeps only a file of a killed process's upload, which can be abandoned", async () => {
    const folder = temporaryFolder();
    const script = `
      import { DirectoryStore } from ${JSON.stringify(join(ROOT, "shared/platform/embedded/directory-store.ts"))};
      await new DirectoryStore(${JSON.stringify(folder)}).put("data/a", (async function* () {
        yield new Uint8Array(10);
        console.log("half");
        await new Promise(() => setInterval(() => {}, 1000));
      })());`;
    const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await new Promise((resolve) => child.stdout.once("data", resolve));
    await setTimeout(50);
    child.kill("SIGKILL");
    await new Promise((resolve) => child.once("exit", resolve));
    const store = new DirectoryStore(folder);
    const uploads = await Array.fromAsync(store.listUnfinished("data/"));
    expect(uploads.map((upload) => upload.key)).toEqual(["data/a"]);
    expect(await store.get("data/a")).toBeUndefined();
    expect(await Array.fromAsync(store.list("data/"))).toEqual([]);
    for (const upload of uploads) await store.abandon(upload);
    expect(filesBelow(folder)).toEqual([]);
  });

  it("The directory store names the path when the disk fails", async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, "a"));
    const store = new DirectoryStore(join(folder, "a"));
    await store.put("file", new Uint8Array());
    // A file cannot contain another file. This also fails for root, which ignores permissions.
    await expect(store.put("file/b", new Uint8Array())).rejects.toMatchObject({
      code: "STORE_FAILED",
      where: { path: join(folder, "a/file") },
    });
    chmodSync(join(folder, "a"), 0o755);
  });
});
