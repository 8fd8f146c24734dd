import type { BatchContext, TaskContext } from "../../../contract/context.ts";
import { batchDigits } from "../../../contract/keys.ts";
import { sha256 } from "../../kit/sha256.ts";
import { attemptName, parseAttempt, type StagedAttempt } from "../../kit/staging.ts";

/** The folder with the metadata of a table, below its location. */
export const METADATA_FOLDER = "metadata";
/** The folder with the data files of a table, below its location. */
export const DATA_FOLDER = "data";

const DATA_SUFFIX = ".parquet";

interface Owner {
  readonly pipeline: string;
  readonly incarnation: string;
}

/** The folder of an incarnation's data files, relative to `data`. It ends with a slash. */
export function ownFolder({ pipeline, incarnation }: Owner): string {
  return `${pipeline}/${incarnation}/`;
}

/** Returns the location of a data file. `id` is unique, `partition` is a folder or empty. */
export function dataLocation(
  location: string,
  task: TaskContext,
  id: string,
  partition: string = "",
): string {
  return `${location}/${DATA_FOLDER}/${ownFolder(task)}${partition}${attemptName(task, id, DATA_SUFFIX)}`;
}

/** Parses the key of a data file, relative to `data`. */
export function dataAttemptOf(key: string, folder: string): StagedAttempt | undefined {
  if (!key.startsWith(folder)) return undefined;
  return parseAttempt(key.slice(key.lastIndexOf("/") + 1), "", DATA_SUFFIX);
}

/**
 * The names of the files that one call of `commit` writes. Vacuum finds the batch and the attempt
 * in them.
 */
export class CommitNames {
  readonly #location: string;
  readonly #stem: string;
  #manifests = 0;
  #lists = 0;

  constructor(location: string, { incarnation, batchId, attempt }: BatchContext, id: string) {
    this.#location = location;
    this.#stem = `${incarnation}-${batchDigits(batchId)}-${attempt}-${id}`;
  }

  manifest(): string {
    return `${this.#location}/${METADATA_FOLDER}/${this.#stem}-m${this.#manifests++}.avro`;
  }

  manifestList(snapshotId: bigint): string {
    return `${this.#location}/${METADATA_FOLDER}/snap-${snapshotId}-${this.#lists++}-${this.#stem}.avro`;
  }
}

const UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}";
const COMMIT_FILE = new RegExp(`^(?:snap-\\d+-\\d+-)?(.+)-(\\d{12})-(\\d+)-${UUID}(?:-m\\d+)?\\.avro$`);

/** Parses the name of a manifest or manifest list of this sink. */
export function commitAttemptOf(
  name: string,
): (StagedAttempt & { readonly incarnation: string }) | undefined {
  const [, incarnation, batchId, attempt] = COMMIT_FILE.exec(name) ?? [];
  if (incarnation === undefined) return undefined;
  return { incarnation, batchId: Number(batchId), attempt: Number(attempt) };
}

/**
 * Returns the location of a plan that is too large for the ledger. Batches with equal plans share
 * the file, so there are as few as the table has schemas, and vacuum leaves them.
 */
export function planLocation(location: string, plan: Uint8Array): string {
  return `${location}/${METADATA_FOLDER}/millrace-plan-${sha256(plan).toString("hex")}.json.gz`;
}

/** Java's names: `00007-<uuid>.metadata.json`, also compressed. */
const METADATA_FILE = /^(\d+)-[0-9a-f-]{36}(?:\.gz)?\.metadata\.json(?:\.gz)?$/;

/** Returns the version in the name of a metadata file. */
export function metadataVersionOf(name: string): number | undefined {
  const version = METADATA_FILE.exec(name)?.[1];
  return version === undefined ? undefined : Number(version);
}
