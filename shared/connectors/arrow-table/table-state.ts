import { UNKNOWN_PLAN } from "../../contract/batch-identity.ts";
import { batchDigits } from "../../contract/keys.ts";
import type { ObjectStore } from "../../contract/object-store.ts";
import { optional } from "../../contract/optional.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { dataFolder } from "./data-files.ts";
import { LiveList } from "./live-list.ts";
import { brokenLog, type LogEntry, type LogFile, removedPaths, type StoredEntry } from "./log-entry.ts";

/** Number of versions with removals that a checkpoint names. */
const REMOVALS_KEPT = 256;

/** Matches the path of a file that some attempt of a task may have staged. */
const ATTEMPT = /\/\d{12}-\d{6}-/;

/** The newest batch of one incarnation of a pipeline, and the version of its log entry. */
export type NewestOfLife = Checkpoint["newest"][number];

/** The schema and the partition columns of a table, as its log has them. */
export type TableSchema = Pick<LogEntry, "schema" | "arrowSchema" | "partitionBy">;

/**
 * What the entries of a log up to `version` say. It begins with a checkpoint, or empty, and takes
 * one entry after the other.
 */
export class TableState {
  readonly live: LiveList;
  readonly #table: ObjectStore;
  readonly #newest = new Map<string, NewestOfLife>();
  readonly #removals: { readonly version: number; readonly timestamp: string }[];
  #schema: TableSchema | undefined;
  #version: number;
  #isOrdered: boolean;

  constructor(table: ObjectStore, checkpoint?: Checkpoint) {
    this.#table = table;
    this.#version = checkpoint?.version ?? -1;
    this.#isOrdered = checkpoint?.isOrdered ?? true;
    this.live = new LiveList(table, checkpoint?.segments, checkpoint?.totals);
    this.#removals = [...(checkpoint?.removals ?? [])];
    for (const newest of checkpoint?.newest ?? []) this.#newest.set(keyOf(newest), newest);
    this.#schema = checkpoint && schemaOf(checkpoint);
  }

  /** The newest version, or -1 if the log is empty. */
  get version(): number {
    return this.#version;
  }

  /**
   * True if the files of each incarnation are in the order of its batch ids, as all are that
   * Millrace writes. The log of another program may have them in another order.
   */
  get isOrdered(): boolean {
    return this.#isOrdered;
  }

  /** The schema of the newest entry. */
  get schema(): TableSchema | undefined {
    return this.#schema;
  }

  get newest(): NewestOfLife[] {
    return [...this.#newest.values()];
  }

  /** The newest versions that removed files, in their order. */
  get removals(): readonly { readonly version: number; readonly timestamp: string }[] {
    return this.#removals;
  }

  /** True if versions with removals were forgotten because there are too many. */
  get forgotRemovals(): boolean {
    return this.#removals.length === REMOVALS_KEPT;
  }

  /** Returns the newest batch of a pipeline, of any incarnation. */
  newestOf(pipeline: string): NewestOfLife | undefined {
    const own = this.newest.filter((one) => one.pipeline === pipeline);
    return own.reduce<NewestOfLife | undefined>(
      (newest, one) => (newest === undefined || one.version > newest.version ? one : newest),
      undefined,
    );
  }

  /** Returns the id of the newest batch of one incarnation of a pipeline, or -1. */
  lastBatchOf(owner: { readonly pipeline: string; readonly incarnation: string }): number {
    return this.#newest.get(keyOf(owner))?.batchId ?? -1;
  }

  /**
   * Takes the entry of the next version. Errors: `TABLE_LOG_BROKEN` if it removes a file that is
   * not live, adds one that is, or has other partition columns than the table; `SegmentDamaged`.
   */
  async apply(entry: StoredEntry): Promise<void> {
    const { version, add } = entry;
    const partitions = this.#schema === undefined ? entry.partitionBy : this.#schema.partitionBy;
    if (JSON.stringify(partitions) !== JSON.stringify(entry.partitionBy))
      throw brokenLog(this.#table, version, "has other partition columns than the entries before it");
    const count = entry.remove.length + (entry.longRemove ?? 0);
    if (count > 0) {
      const unknown = await this.live.remove(count, () => removedPaths(this.#table, entry));
      if (unknown > 0)
        throw brokenLog(this.#table, version, `removes ${unknown} files that no earlier entry adds`);
    }
    const twice = this.live.add(add);
    if (twice >= 0)
      throw brokenLog(this.#table, version, `has in add[${twice}] a file that an earlier entry adds`);
    this.#take(entry, count > 0);
  }

  /** Takes the entry of an overwrite, which has replaced all files. */
  replaced(entry: Omit<LogEntry, "remove">): void {
    const hadFiles = this.live.totals.files > 0;
    this.live.clear();
    this.live.add(entry.add);
    this.#take(entry, hadFiles);
  }

  #take(entry: Omit<LogEntry, "remove">, removes: boolean): void {
    const { version, timestamp, pipeline, incarnation, batchId, planId = UNKNOWN_PLAN } = entry;
    this.#version = version;
    this.#schema = schemaOf(entry);
    const newest = { pipeline, incarnation, batchId, planId, version };
    this.#isOrdered &&= isInOrder(entry, this.#newest.get(keyOf(newest)));
    this.#newest.set(keyOf(newest), newest);
    if (!removes) return;
    this.#removals.push({ version, timestamp });
    if (this.#removals.length > REMOVALS_KEPT) this.#removals.shift();
  }
}

/** Returns the schema that an entry or a checkpoint has. */
export function schemaOf({
  schema,
  arrowSchema,
  partitionBy,
}: Pick<LogEntry, "schema"> & {
  readonly arrowSchema?: string | undefined;
  readonly partitionBy?: readonly string[] | undefined;
}): TableSchema {
  return { schema, ...optional("arrowSchema", arrowSchema), ...optional("partitionBy", partitionBy) };
}

/** True if an entry has files of its own batch only, and that batch follows `before`. */
function isInOrder(entry: Omit<LogEntry, "remove">, before: NewestOfLife | undefined): boolean {
  const own = `${dataFolder(entry)}${batchDigits(entry.batchId)}-`;
  const isOther = ({ path }: LogFile) => !path.startsWith(own) && ATTEMPT.test(path);
  return (before === undefined || before.batchId < entry.batchId) && !entry.add.some(isOther);
}

function keyOf(owner: { readonly pipeline: string; readonly incarnation: string }): string {
  return JSON.stringify([owner.pipeline, owner.incarnation]);
}
