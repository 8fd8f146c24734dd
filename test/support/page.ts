import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { temporaryFolder } from "./folder.ts";
import { ROOT } from "./root.ts";
import { UserFolder } from "./shell.ts";

/** A file that a page shows: a block of code whose first line is a comment with the file's name. */
const FILE = /```(?:ts|python|json|csv)\n(?:\/\/|#) (\S+)\n([\s\S]*?)```/g;

/** A page of the documentation, whose code and commands a test takes from the page itself. */
export class Page {
  readonly text: string;

  /** `path` is relative to the project's root, such as `docs/query.md`. */
  constructor(path: string) {
    this.text = readFileSync(join(ROOT, path), "utf8");
  }

  /**
   * Returns a user's folder with the files that the page shows, changed by `edit`. Of a file that
   * is shown several times it has the first version.
   */
  folder(edit: (code: string) => string = (code) => code): UserFolder {
    const user = new UserFolder(temporaryFolder());
    const names = new Set(this.#files().map(({ name }) => name));
    for (const name of names) this.save(user, name, 0, edit);
    return user;
  }

  /** Writes a version of a file, counted from 0, as a reader would edit it. */
  save(user: UserFolder, name: string, version = 1, edit: (code: string) => string = (code) => code): void {
    const { code } = this.#files().filter((file) => file.name === name)[version] ?? {};
    if (code === undefined) throw new Error(`the page does not show ${name} ${version + 1} times`);
    mkdirSync(dirname(join(user.path, name)), { recursive: true });
    writeFileSync(join(user.path, name), edit(code));
  }

  #files(): readonly { readonly name: string; readonly code: string }[] {
    return [...this.text.matchAll(FILE)].map(([, name = "", code = ""]) => ({ name, code }));
  }

  /** Returns the commands that the page shows below a heading, or before the first one. */
  commands(heading?: string): string {
    return this.steps(heading).join("\n");
  }

  /** Returns these commands block by block. */
  steps(heading?: string): readonly string[] {
    return this.#blocks("sh", heading);
  }

  /** Returns the outputs that the page shows below a heading, or before the first one. */
  outputs(heading?: string): readonly string[] {
    return this.#blocks("text", heading);
  }

  /** Returns what the page shows of a terminal below a heading: blocks without a language. */
  terminal(heading: string): readonly string[] {
    return this.#blocks("", heading);
  }

  #blocks(language: string, heading?: string): readonly string[] {
    const sections = this.text.split(/\n## /);
    const section = heading === undefined ? sections[0] : sections.find((s) => s.startsWith(`${heading}\n`));
    const blocks = [...(section ?? "").matchAll(/```(\w*)\n([\s\S]*?)```/g)]
      .filter((match) => match[1] === language)
      .map((match) => match[2] ?? "");
    if (blocks.length === 0)
      throw new Error(`no block of ${language || "no language"} below "${heading ?? "the title"}"`);
    return blocks;
  }
}
