import { createHash, randomUUID } from "node:crypto";
import { linkSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { CodeFile, CodeImport } from "./code.ts";

/**
 * The code that threads of a run load after it began, in a folder. The first thread that loads a
 * file decides how all threads see it. Most runs load nothing late and never create the folder.
 */
export class SharedCode {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  file(url: string): CodeFile | undefined {
    return read(this.#pathOf("file", url));
  }

  /** Returns the kept file, which is `own` unless another thread was first. */
  firstFile(own: CodeFile): CodeFile {
    return this.#first("file", own.url, own);
  }

  import(key: string): CodeImport | undefined {
    return read(this.#pathOf("import", key));
  }

  /** Returns the kept import, which is `own` unless another thread was first. */
  firstImport(key: string, own: CodeImport): CodeImport {
    return this.#first("import", key, own);
  }

  /** Returns all files that were loaded late. */
  files(): readonly CodeFile[] {
    return namesIn(this.folder)
      .filter((name) => name.startsWith("file-"))
      .flatMap((name) => read<CodeFile>(join(this.folder, name)) ?? []);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  #first<T>(kind: "file" | "import", key: string, own: T): T {
    const path = this.#pathOf(kind, key);
    const draft = join(this.folder, `draft-${randomUUID()}`);
    mkdirSync(this.folder, { recursive: true });
    writeFileSync(draft, JSON.stringify(own));
    try {
      // A link appears whole or not at all, and never replaces the one of another thread.
      linkSync(draft, path);
      return own;
    } catch (error) {
      const first = read<T>(path);
      if (first === undefined) throw error;
      return first;
    } finally {
      rmSync(draft, { force: true });
    }
  }

  #pathOf(kind: "file" | "import", key: string): string {
    return join(this.folder, `${kind}-${createHash("sha256").update(key).digest("hex")}`);
  }
}

/** Returns the names in a folder, or none if it does not exist. */
export function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function read<T>(path: string): T | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
  return JSON.parse(text) as T;
}
