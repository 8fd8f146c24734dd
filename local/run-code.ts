import { existsSync, realpathSync } from "node:fs";
import { rm } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { MillraceError } from "../shared/contract/errors.ts";
import type { Batch } from "../shared/engine/ports/ledger.ts";
import { type CodeFile, type CodeSnapshot, digestOf, isEdited } from "./code-record.ts";
import type { Home } from "./home.ts";
import { CODE } from "./load-pipeline.ts";
import { hasEnded } from "./owner-lock.ts";
import { namesIn, SharedCode } from "./shared-code.ts";

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
    if (this.#hasWarned) return undefined;
    const { pipeline, entry, startedAt } = this.#options;
    const name = ({ url }: CodeFile) => relative(dirname(entry), fileURLToPath(url));
    const warning = (file: CodeFile, problem: string) => {
      this.#hasWarned = true;
      return new MillraceError("CODE_CHANGED", `${name(file)} ${problem}`, {
        where: { pipeline, path: fileURLToPath(file.url) },
        hint: "Stop the run and start it again to use the new code.",
      });
    };
    const edited = this.snapshot.files.find((file) => isEdited(file) || this.#isReplaced(file));
    if (edited !== undefined)
      return warning(
        edited,
        "was edited since this run began, which goes on with the code that it began with",
      );
    const late = this.#late.files().find((file) => file.changedAt > startedAt || isEdited(file));
    if (late !== undefined)
      return warning(
        late,
        "was edited since this run began, and all tasks use it as it was when the first one loaded it",
      );
    const installed = this.#packages.find(isEdited);
    if (installed !== undefined)
      return warning(
        installed,
        "is of another version since this run began, and new threads load that version",
      );
    return undefined;
  }

  /** True if the file is the entry, and the entry's path now leads to another file. */
  #isReplaced({ url }: CodeFile): boolean {
    if (url !== this.snapshot.imports[0]?.url) return false;
    return existsSync(this.#options.entry) && realpathSync(this.#options.entry) !== fileURLToPath(url);
  }

  /** Returns a warning if other code has planned the batch that this run resumes. */
  resumeWarning(batch: Batch): MillraceError | undefined {
    const { code: planned } = batch as Batch & { readonly code?: string };
    if (planned === undefined || this.digest === undefined || planned === this.digest) return undefined;
    const { pipeline, batchId, attempt } = batch;
    return new MillraceError(
      "CODE_CHANGED",
      `batch ${batchId} was planned by code ${short(planned)}, and code ${short(this.digest)} goes on with it`,
      {
        where: { pipeline, batchId, attempt },
        hint: "Its partitions stay as they were planned, and the new code must be able to read them.",
      },
    );
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

function short(digest: string): string {
  return digest.slice(0, 12);
}
