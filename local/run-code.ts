import { existsSync, realpathSync } from "node:fs";
import { rm } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { MillraceError } from "../shared/contract/errors.ts";
import type { CodeFile, CodeSnapshot } from "./code.ts";
import { digestOf, isEdited } from "./code-record.ts";
import type { Home } from "./home.ts";
import { CODE } from "./load-pipeline.ts";
import { hasEnded } from "./owner-lock.ts";
import { namesIn, SharedCode } from "./shared-code.ts";

const EDITED = "was edited since this run began, which goes on with the code that it began with";
const EDITED_LATE = "was edited since this run began, and all tasks use it as the first of them loaded it";
const INSTALLED = "is of another version since this run began, and new threads load that version";

interface RunCodeOptions {
  readonly pipeline: string;
  /** The file that exports the pipeline. */
  readonly entry: string;
  readonly home: Home;
  /** Id of the run's lock. */
  readonly runId: string;
  /** When the run began, in epoch milliseconds. */
  readonly startedAt: number;
}

/** The code of the pipeline in one run: what it began with, and what its threads load later. */
export class RunCode {
  /** The code that was loaded when the run began. Each worker thread starts with it. */
  readonly snapshot: CodeSnapshot;
  /** The folder for code that is loaded later. */
  readonly folder: string;
  /** Digest of the code. `undefined` if the pipeline was not loaded from its file. */
  readonly digest: string | undefined;
  readonly #options: RunCodeOptions;
  readonly #packages: readonly CodeFile[] = CODE.packages();
  readonly #late: SharedCode;
  #hasWarned = false;

  constructor(options: RunCodeOptions) {
    const { entry, home, runId } = options;
    const url = pathToFileURL(entry).href;
    this.#options = options;
    this.snapshot = CODE.codeOf(url);
    this.digest = this.snapshot.files.length === 0 ? undefined : digestOf(url, this.snapshot);
    this.folder = join(home.codeFolder, runId);
    this.#late = new SharedCode(this.folder);
    CODE.shareWith(this.#late);
  }

  /** Returns a warning, the first time that a file of the code has changed since the run began. */
  changeWarning(): MillraceError | undefined {
    const change = this.#hasWarned ? undefined : this.#findChange();
    if (change === undefined) return undefined;
    this.#hasWarned = true;
    const { pipeline, entry } = this.#options;
    const path = fileURLToPath(change.file.url);
    return new MillraceError("CODE_CHANGED", `${relative(dirname(entry), path)} ${change.problem}`, {
      where: { pipeline, path },
      hint: "Stop the run and start it again to use the new code.",
    });
  }

  #findChange(): { readonly file: CodeFile; readonly problem: string } | undefined {
    const { startedAt } = this.#options;
    const first = this.snapshot.files.find((file) => isEdited(file) || this.#isReplaced(file));
    if (first !== undefined) return { file: first, problem: EDITED };
    const late = this.#late.files().find((file) => file.changedAt > startedAt || isEdited(file));
    if (late !== undefined) return { file: late, problem: EDITED_LATE };
    const installed = this.#packages.find(isEdited);
    return installed && { file: installed, problem: INSTALLED };
  }

  /** True if the file is the entry, and the entry's path now leads to another file. */
  #isReplaced({ url }: CodeFile): boolean {
    if (url !== this.snapshot.imports[0]?.url) return false;
    return existsSync(this.#options.entry) && realpathSync(this.#options.entry) !== fileURLToPath(url);
  }

  /** Removes the code that was loaded late, also that of runs that were killed. */
  async end(): Promise<void> {
    CODE.shareWith(undefined);
    this.#late.remove();
    const { home } = this.#options;
    for (const id of namesIn(home.codeFolder))
      if (await hasEnded(home.ownersFolder, { id, description: "" }))
        await rm(join(home.codeFolder, id), { recursive: true, force: true });
  }
}
