import { randomUUID } from "node:crypto";
import { closeSync, constants, existsSync, openSync, readFileSync, statSync } from "node:fs";
import { access } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { clientAccess } from "../shared/aws/client-access.ts";
import { transferLimits } from "../shared/aws/request-limits.ts";
import { parseS3Url } from "../shared/aws/s3-url.ts";
import { liveName } from "../shared/contract/backfill.ts";
import type { Runtime } from "../shared/contract/context.ts";
import { MillraceError } from "../shared/contract/errors.ts";
import type { ObjectStore, StoreAccess } from "../shared/contract/object-store.ts";
import { optional } from "../shared/contract/optional.ts";
import type { Ports } from "../shared/engine/ports/runtime.ts";
import { lazyStore } from "../shared/platform/aws/lazy-store.ts";
import { adviceFor, systemCodeOf } from "../shared/platform/embedded/advice.ts";
import { DirectoryScratch } from "../shared/platform/embedded/directory-scratch.ts";
import { DirectoryStore } from "../shared/platform/embedded/directory-store.ts";
import { fileRights, makeDurableFolder, replaceDurably } from "../shared/platform/embedded/durable.ts";
import { SqliteLedger } from "../shared/platform/embedded/sqlite-ledger.ts";

/**
 * The folder with everything about the pipelines that run locally: the ledger, the locks of runs,
 * and a folder for each pipeline.
 */
export class Home {
  readonly root: string;

  constructor(folder: string) {
    this.root = resolve(folder);
  }

  /**
   * The rights of the home, which everything in it gets. A home that Millrace creates is for its
   * owner only, because offsets, rows and errors may be confidential. One that exists keeps its
   * rights, because its owner may share it on purpose.
   */
  get rights(): number {
    const stats = statSync(this.root, { throwIfNoEntry: false });
    return stats === undefined || process.platform === "win32" ? OWNER_ONLY : stats.mode & 0o777;
  }

  /** True if every user of the machine can read the home. */
  get isReadableByOthers(): boolean {
    return (this.rights & OTHERS) !== 0;
  }

  get #ledgerPath(): string {
    return join(this.root, "ledger.sqlite");
  }

  get ownersFolder(): string {
    return join(this.root, ".owners");
  }

  /** Folder with the code that running pipelines have loaded late: a folder for each run. */
  get codeFolder(): string {
    return join(this.root, ".code");
  }

  /** The log of a pipeline's runs. */
  logPath(pipeline: string): string {
    return join(this.root, "logs", `${pipeline}.log`);
  }

  pipelineFolder(pipeline: string): string {
    return join(this.root, pipeline);
  }

  /**
   * Opens the ledger, read-only if it is not writable. With `create`, home and ledger are created
   * if they do not exist. Error: `HOME_NOT_FOUND`.
   */
  async openLedger(options: { readonly create: boolean }): Promise<SqliteLedger> {
    if (options.create) await this.#create();
    else if (!exists(this.#ledgerPath)) {
      throw new MillraceError("HOME_NOT_FOUND", `no pipeline has run in ${this.root}`, {
        where: { path: this.root },
        hint: "Name the folder that `millrace run` used: --home DIR.",
      });
    }
    if (options.create) return new SqliteLedger(this.#ledgerPath);
    if (!(await this.#isWritable())) return new SqliteLedger(this.#ledgerPath, { readOnly: true });
    try {
      return new SqliteLedger(this.#ledgerPath);
    } catch (error) {
      return this.#openFull(error);
    }
  }

  /**
   * Opens the ledger read-only after the first try has failed, so that `status` works on a full
   * disk. Throws the first error if this fails, too.
   */
  #openFull(error: unknown): SqliteLedger {
    const mayHelp = MillraceError.is(error) && error.code === "LEDGER_FAILED" && !error.retryable;
    if (!mayHelp) throw error;
    try {
      return new SqliteLedger(this.#ledgerPath, { readOnly: true });
    } catch {
      throw error;
    }
  }

  async #create(): Promise<void> {
    await makeDurableFolder(dirname(this.root));
    await makeDurableFolder(this.root, OWNER_ONLY);
    createFile(this.#ledgerPath, fileRights(this.rights));
  }

  async #isWritable(): Promise<boolean> {
    const rights = [this.root, this.#ledgerPath].map((path) => access(path, constants.W_OK));
    return await Promise.all(rights).then(
      () => true,
      () => false,
    );
  }

  ports(pipeline: string, ledger: SqliteLedger): Ports {
    return {
      ledger,
      store: new DirectoryStore(this.pipelineFolder(pipeline), this.rights),
      tableStore: new DirectoryStore(this.pipelineFolder(liveName(pipeline)), this.rights),
      openStore,
      // Beside the batch's other files, so that vacuum finds what a killed task leaves.
      openScratch: (folder) => new DirectoryScratch(join(this.pipelineFolder(pipeline), dirname(folder))),
      home: this.root,
      runtime,
    };
  }

  /** Stores which file defines a pipeline, for commands that get only its name. */
  async rememberEntry(pipeline: string, entry: string): Promise<void> {
    const path = this.#entryPath(pipeline);
    await makeDurableFolder(this.pipelineFolder(pipeline), this.rights);
    try {
      await replaceDurably(path, `${JSON.stringify({ entry })}\n`, fileRights(this.rights));
    } catch (error) {
      throw homeFailed(path, error);
    }
  }

  /** Returns the file that defined the pipeline in its last run, or `undefined`. */
  entryOf(pipeline: string): string | undefined {
    const path = this.#entryPath(pipeline);
    if (!exists(path)) return undefined;
    try {
      return (JSON.parse(readFileSync(path, "utf8")) as { entry: string }).entry;
    } catch (error) {
      throw homeFailed(path, error);
    }
  }

  #entryPath(pipeline: string): string {
    return join(this.pipelineFolder(pipeline), "pipeline.json");
  }
}

const OWNER_ONLY = 0o700;
const OTHERS = 0o007;

/** True if the path exists. Error: `STORE_FAILED` if this user may not look. */
export function exists(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch (error) {
    if (systemCodeOf(error) === "ENOTDIR") return false;
    throw homeFailed(path, error);
  }
}

/**
 * Creates an empty file with these rights, if there is none. SQLite gives its log the same ones.
 */
function createFile(path: string, rights: number): void {
  try {
    closeSync(openSync(path, "a", rights));
  } catch (error) {
    // A ledger that may only be read is reported by SQLite.
    if (!existsSync(path)) throw homeFailed(path, error);
  }
}

function homeFailed(path: string, error: unknown): MillraceError {
  const isDamaged = error instanceof SyntaxError;
  const problem = isDamaged
    ? "is damaged"
    : `cannot be read or written: ${error instanceof Error ? error.message : error}`;
  const hint = isDamaged
    ? "Remove the file and name the pipeline's own file: `millrace run pipeline.ts` writes it again."
    : undefined;
  return new MillraceError("STORE_FAILED", `a file of the home ${problem}`, {
    where: { path },
    ...adviceFor(systemCodeOf(error)),
    ...optional("hint", hint),
    cause: error,
  });
}

const LONGEST_TIMER = 2 ** 31 - 1;

/**
 * The real clock, random numbers and environment of a local run. Engine and connectors get them
 * only from here.
 */
export const runtime: Runtime = {
  now: Date.now,
  // `performance.now` counts from the start of its thread, but threads share times.
  monotonic: () => Number(process.hrtime.bigint() / 1_000_000n),
  newId: randomUUID,
  random: Math.random,
  env: process.env,
  async sleep(milliseconds, signal) {
    // A timer longer than 2^31 - 1 ms would fire immediately.
    for (let left = milliseconds; left > 0; left -= LONGEST_TIMER) {
      await setTimeout(
        Math.min(left, LONGEST_TIMER),
        undefined,
        signal === undefined ? undefined : { signal },
      );
    }
  },
};

/**
 * Opens a folder, a `file:` URL, or `s3://bucket/prefix`. `access` replaces the credentials of the
 * AWS SDK's default chain. Error: `LOCATION_NOT_SUPPORTED`.
 */
export function openStore(location: string, access?: StoreAccess): ObjectStore {
  if (location.startsWith("file:")) return new DirectoryStore(fileURLToPath(location));
  const place = parseS3Url(location);
  if (place !== undefined) return lazyStore(location.replace(/\/+$/, ""), () => openS3(place, access));
  if (/^[a-z][a-z0-9+.-]+:/i.test(location)) {
    throw new MillraceError("LOCATION_NOT_SUPPORTED", `${location} cannot be opened here`, {
      hint: "Give the path of a folder, or s3://bucket/prefix.",
    });
  }
  return new DirectoryStore(resolve(location));
}

async function openS3(
  place: { readonly bucket: string; readonly prefix: string },
  access?: StoreAccess,
): Promise<ObjectStore> {
  const { S3Client } = await import("@aws-sdk/client-s3");
  const { S3Store } = await import("../shared/platform/aws/s3-store.ts");
  const client = new S3Client({
    // With a custom endpoint such as LocalStack's, bucket names cannot be part of the host name.
    forcePathStyle: process.env["AWS_ENDPOINT_URL"] !== undefined,
    followRegionRedirects: true,
    requestHandler: transferLimits(),
    ...clientAccess(access),
  });
  return new S3Store({ client, ...place, runtime });
}
