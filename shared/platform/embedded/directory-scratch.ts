import { type FileHandle, mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Scratch } from "../../contract/scratch.ts";

/** A place for runs in a folder of its own, which is deleted with the last of them. */
export class DirectoryScratch implements Scratch {
  readonly #parent: string;
  #folder: Promise<string> | undefined;
  readonly #files = new Map<number, FileHandle>();

  /** The folder is made in `parent` when the first run is written. */
  constructor(parent: string = tmpdir()) {
    this.#parent = parent;
  }

  async write(run: number, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    this.#folder ??= mkdtemp(join(this.#parent, "millrace-sort-"));
    const file = await open(join(await this.#folder, String(run)), "wx+", 0o600);
    this.#files.set(run, file);
    for await (const chunk of chunks) await file.appendFile(chunk);
  }

  async read(run: number, start: number, end: number): Promise<Uint8Array> {
    const file = this.#files.get(run);
    if (file === undefined) return new Uint8Array();
    const bytes = new Uint8Array(end - start);
    let length = 0;
    while (length < bytes.length) {
      const { bytesRead } = await file.read(bytes, length, bytes.length - length, start + length);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    return bytes.subarray(0, length);
  }

  async delete(runs: readonly number[]): Promise<void> {
    for (const run of runs) {
      const file = this.#files.get(run);
      if (file === undefined) continue;
      this.#files.delete(run);
      await file.close();
      await rm(join((await this.#folder) as string, String(run)), { force: true });
    }
    if (this.#files.size > 0 || this.#folder === undefined) return;
    await rm(await this.#folder, { recursive: true, force: true });
    this.#folder = undefined;
  }
}
