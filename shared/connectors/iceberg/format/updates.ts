import { isDeepStrictEqual } from "node:util";
import { MillraceError } from "../../../contract/errors.ts";
import type { TableCommit } from "../catalog/catalog.ts";
import { checkedSchema, highestFieldId } from "./check-schema.ts";
import { invalidMetadata, JsonObject } from "./json-object.ts";
import { checkedSnapshot, checkReferences, MAIN } from "./metadata.ts";
import type {
  IcebergSchema,
  Snapshot,
  SnapshotRef,
  TableMetadata,
  TableRequirement,
  TableUpdate,
} from "./types.ts";

/** Clocks of different machines may differ by this much. */
const CLOCK_TOLERANCE_MS = 60_000;
const PREVIOUS_VERSIONS = "write.metadata.previous-versions-max";
const PREVIOUS_VERSIONS_DEFAULT = 100;
const DELETE_AFTER_COMMIT = "write.metadata.delete-after-commit.enabled";
/**
 * In place of an id it means the schema that the commit added last. One that was there is not
 * added.
 */
const LAST_ADDED = -1;

/** New metadata, or the requirement that the table does not meet. */
export type AppliedCommit = { readonly metadata: TableMetadata } | { readonly conflict: string };

type Update<A extends TableUpdate["action"]> = Extract<TableUpdate, { readonly action: A }>;

/**
 * Returns the metadata after a commit, as a REST catalog makes it. `metadataLocation` is the file
 * of `metadata`, and `now` is milliseconds since 1970. If the commit changes nothing, the result is
 * `metadata` itself, and the catalog writes no file. Errors: `SNAPSHOT_EXISTS`,
 * `TABLE_UPDATE_INVALID`.
 */
export function applyCommit(
  metadata: TableMetadata,
  metadataLocation: string | undefined,
  commit: TableCommit,
  now: number,
): AppliedCommit {
  for (const requirement of commit.requirements) {
    const conflict = conflictWith(requirement, metadata);
    if (conflict !== undefined) return { conflict };
  }
  const draft = new Draft(metadata, now);
  for (const update of commit.updates) {
    const conflict = draft.apply(update);
    if (conflict !== undefined) return { conflict };
  }
  return { metadata: draft.finish(metadataLocation) };
}

/** Returns why the table does not meet a requirement, or `undefined` if it does. */
function conflictWith(requirement: TableRequirement, metadata: TableMetadata): string | undefined {
  switch (requirement.type) {
    case "assert-create":
      return "the table exists already";
    case "assert-table-uuid":
      return requirement.uuid.toLowerCase() === metadata["table-uuid"].toLowerCase()
        ? undefined
        : `the table has the uuid ${metadata["table-uuid"]}, not ${requirement.uuid}`;
    case "assert-ref-snapshot-id":
      return refConflict(metadata.refs[requirement.ref], requirement.ref, requirement["snapshot-id"]);
    case "assert-last-assigned-field-id":
      return different(
        "the last field id",
        metadata["last-column-id"],
        requirement["last-assigned-field-id"],
      );
    case "assert-current-schema-id":
      return different("the current schema", metadata["current-schema-id"], requirement["current-schema-id"]);
    case "assert-default-spec-id":
      return different("the partition spec", metadata["default-spec-id"], requirement["default-spec-id"]);
    default:
      throw invalidUpdate(metadata, `the requirement ${(requirement as { type: string }).type} is unknown`);
  }
}

function refConflict(ref: SnapshotRef | undefined, name: string, wanted: bigint | null): string | undefined {
  const found = ref === undefined ? null : ref["snapshot-id"];
  if (found === wanted) return undefined;
  return `${name} is at ${found === null ? "no snapshot" : `snapshot ${found}`}, not at ${wanted === null ? "none" : wanted}`;
}

function different(what: string, found: number, wanted: number): string | undefined {
  return found === wanted ? undefined : `${what} is ${found}, not ${wanted}`;
}

/** The metadata while updates are applied to it. */
class Draft {
  readonly #base: TableMetadata;
  readonly #lastUpdated: number;
  #metadata: TableMetadata;
  readonly #addedSchemas = new Set<number>();
  #lastAddedSchema: number | undefined;
  readonly #added = new Set<bigint>();
  /** Snapshots of this commit that were the head of main at some time. */
  readonly #heads = new Set<bigint>();
  #hasRemoved = false;

  constructor(base: TableMetadata, now: number) {
    this.#base = base;
    this.#metadata = base;
    // Clocks differ, and readers refuse metadata whose time runs backwards.
    this.#lastUpdated = Math.max(now, base["last-updated-ms"]);
  }

  /** Returns why the update conflicts with the table, or `undefined` once it is applied. */
  apply(update: TableUpdate): string | undefined {
    switch (update.action) {
      case "add-schema":
        return this.#addSchema(update);
      case "set-current-schema":
        return this.#setCurrentSchema(update["schema-id"]);
      case "add-snapshot":
        return this.#addSnapshot(update.snapshot);
      case "set-snapshot-ref":
        return this.#setRef(update);
      case "remove-snapshot-ref":
        return this.#removeRef(update["ref-name"]);
      case "remove-snapshots":
        return this.#removeSnapshots(new Set(update["snapshot-ids"]));
      case "set-properties":
        return this.#setProperties(update.updates);
      case "remove-properties":
        return this.#removeProperties(update.removals);
      default:
        throw this.#invalid(`the update ${(update as { action: string }).action} is unknown`);
    }
  }

  finish(metadataLocation: string | undefined): TableMetadata {
    if (this.#metadata === this.#base) return this.#base;
    const log = this.#snapshotLog();
    const metadata: TableMetadata = {
      ...this.#metadata,
      "last-updated-ms": Math.max(this.#lastUpdated, log.at(-1)?.["timestamp-ms"] ?? 0),
      "snapshot-log": log,
      "metadata-log": this.#metadataLog(metadataLocation),
    };
    checkReferences(metadata, metadata.location);
    return metadata;
  }

  #change(changes: Partial<TableMetadata>): undefined {
    this.#metadata = { ...this.#metadata, ...changes };
  }

  #addSchema(update: Update<"add-schema">): undefined {
    const { schemas } = this.#metadata;
    const schema = checkedSchema(new JsonObject(update.schema, "schema", this.#base.location));
    const lastColumn = Math.max(
      ...[this.#metadata["last-column-id"], update["last-column-id"] ?? 0, highestFieldId(schema)],
    );
    const equal = schemas.find((one) => isSameSchema(one, schema));
    const id = equal?.["schema-id"] ?? 1 + Math.max(...schemas.map((one) => one["schema-id"]));
    if (equal === undefined) this.#addedSchemas.add(id);
    this.#lastAddedSchema = this.#addedSchemas.has(id) ? id : undefined;
    if (equal === undefined)
      this.#change({ schemas: [...schemas, { ...schema, "schema-id": id }], "last-column-id": lastColumn });
    else if (lastColumn > this.#metadata["last-column-id"]) this.#change({ "last-column-id": lastColumn });
  }

  #setCurrentSchema(said: number): undefined {
    const id = said === LAST_ADDED ? this.#lastAddedSchema : said;
    if (id === this.#metadata["current-schema-id"]) return;
    if (id === undefined || !this.#metadata.schemas.some((schema) => schema["schema-id"] === id))
      throw this.#invalid(`there is no schema ${said} to make current`);
    this.#change({ "current-schema-id": id });
  }

  #addSnapshot(json: Snapshot): string | undefined {
    const snapshot = checkedSnapshot(new JsonObject(json, "snapshot", this.#base.location));
    const id = snapshot["snapshot-id"];
    const last = this.#metadata["last-sequence-number"];
    if (this.#find(id) !== undefined)
      throw new MillraceError(
        "SNAPSHOT_EXISTS",
        `the table ${this.#base.location} has snapshot ${id} already`,
        {
          hint: "An earlier attempt of the same batch succeeded. `millrace run` finds it.",
        },
      );
    if (snapshot["sequence-number"] <= last)
      return `the sequence number of the snapshot is ${snapshot["sequence-number"]}, and the last one ${last}`;
    this.#added.add(id);
    this.#change({
      snapshots: [...this.#metadata.snapshots, snapshot],
      "last-sequence-number": snapshot["sequence-number"],
    });
    return undefined;
  }

  #setRef({ action: _, "ref-name": name, ...ref }: Update<"set-snapshot-ref">): undefined {
    const { refs } = this.#metadata;
    if (isDeepStrictEqual(refs[name], ref)) return;
    const snapshot = this.#find(ref["snapshot-id"]);
    if (snapshot === undefined) throw this.#invalid(`there is no snapshot ${ref["snapshot-id"]} for ${name}`);
    if (name === MAIN && ref.type !== "branch") throw this.#invalid("main must be a branch");
    this.#change({ refs: { ...refs, [name]: ref } });
    if (name === MAIN) this.#setHead(snapshot);
  }

  #removeRef(name: string): undefined {
    if (name === MAIN) throw this.#invalid("main cannot be removed");
    const { [name]: _, ...refs } = this.#metadata.refs;
    if (Object.keys(refs).length < Object.keys(this.#metadata.refs).length) this.#change({ refs });
  }

  #setHead(snapshot: Snapshot): void {
    const id = snapshot["snapshot-id"];
    const isNew = this.#added.has(id);
    if (isNew) this.#heads.add(id);
    // A rollback to an older snapshot happens now.
    const time = isNew ? snapshot["timestamp-ms"] : this.#lastUpdated;
    const log = this.#metadata["snapshot-log"];
    if (time < (log.at(-1)?.["timestamp-ms"] ?? 0) - CLOCK_TOLERANCE_MS)
      throw this.#invalid("the snapshot is more than a minute older than the last entry of snapshot-log");
    this.#change({
      "current-snapshot-id": id,
      "snapshot-log": [...log, { "timestamp-ms": time, "snapshot-id": id }],
    });
  }

  #removeSnapshots(ids: ReadonlySet<bigint>): undefined {
    const { snapshots } = this.#metadata;
    const kept = snapshots.filter((snapshot) => !ids.has(snapshot["snapshot-id"]));
    if (kept.length === snapshots.length) return;
    this.#hasRemoved = true;
    const isKept = ([, ref]: [string, SnapshotRef]) => !ids.has(ref["snapshot-id"]);
    const refs = Object.fromEntries(Object.entries(this.#metadata.refs).filter(isKept));
    this.#change({ snapshots: kept, refs });
    if (refs[MAIN] === undefined) {
      const { "current-snapshot-id": _, ...rest } = this.#metadata;
      this.#metadata = rest;
    }
    this.#removeStatistics(ids);
  }

  /** Statistics files are of one snapshot, and go with it. */
  #removeStatistics(ids: ReadonlySet<bigint>): void {
    const extra = this.#metadata as unknown as Readonly<Record<string, unknown>>;
    for (const key of ["statistics", "partition-statistics"]) {
      const files = extra[key];
      if (!Array.isArray(files)) continue;
      const place = (i: number) => `${key}[${i}]`;
      const kept = files.filter(
        (file: unknown, i) => !ids.has(new JsonObject(file, place(i), this.#base.location).snapshotId()),
      );
      if (kept.length < files.length) this.#change({ [key]: kept });
    }
  }

  #setProperties(updates: Readonly<Record<string, string>>): undefined {
    if (Object.keys(updates).length === 0) return;
    this.#change({ properties: { ...this.#metadata.properties, ...updates } });
  }

  #removeProperties(removals: readonly string[]): undefined {
    if (removals.length === 0) return;
    const kept = Object.entries(this.#metadata.properties).filter(([key]) => !removals.includes(key));
    this.#change({ properties: Object.fromEntries(kept) });
  }

  /**
   * Returns the log without snapshots that were only heads in between. A snapshot that was removed
   * takes the history before it with it: a gap would tell wrong times for the snapshot before it.
   */
  #snapshotLog(): TableMetadata["snapshot-log"] {
    const current = this.#metadata["current-snapshot-id"];
    const isBetween = (id: bigint) => this.#heads.has(id) && id !== current;
    const ids = new Set(this.#metadata.snapshots.map((snapshot) => snapshot["snapshot-id"]));
    const log = this.#metadata["snapshot-log"];
    const gap = this.#hasRemoved ? log.findLastIndex((entry) => !ids.has(entry["snapshot-id"])) : -1;
    return log.slice(gap + 1).filter((entry) => !isBetween(entry["snapshot-id"]));
  }

  #metadataLog(location: string | undefined): TableMetadata["metadata-log"] {
    const log = this.#metadata["metadata-log"];
    if (location === undefined) return log;
    const entry = { "timestamp-ms": this.#base["last-updated-ms"], "metadata-file": location };
    return [...log, entry].slice(-previousVersions(this.#metadata));
  }

  #find(id: bigint): Snapshot | undefined {
    return this.#metadata.snapshots.find((snapshot) => snapshot["snapshot-id"] === id);
  }

  #invalid(problem: string): MillraceError {
    return invalidUpdate(this.#base, problem);
  }
}

/** Equal columns and identifier fields. The ids of the schemas may differ. */
function isSameSchema(a: IcebergSchema, b: IcebergSchema): boolean {
  const identifiers = (schema: IcebergSchema) => (schema["identifier-field-ids"] ?? []).toSorted();
  return isDeepStrictEqual(a.fields, b.fields) && isDeepStrictEqual(identifiers(a), identifiers(b));
}

function previousVersions(metadata: TableMetadata): number {
  const text = metadata.properties[PREVIOUS_VERSIONS] ?? String(PREVIOUS_VERSIONS_DEFAULT);
  if (!/^-?\d{1,9}$/.test(text))
    throw invalidMetadata(metadata.location, `the property ${PREVIOUS_VERSIONS} is not a whole number`);
  return Math.max(1, Number(text));
}

/**
 * Returns the metadata files that may be deleted after a commit: those that its metadata log no
 * longer names, if the table's properties say so.
 */
export function obsoleteMetadataFiles(before: TableMetadata, after: TableMetadata): string[] {
  if (after.properties[DELETE_AFTER_COMMIT]?.toLowerCase() !== "true") return [];
  const kept = new Set(after["metadata-log"].map((entry) => entry["metadata-file"]));
  return before["metadata-log"].map((entry) => entry["metadata-file"]).filter((file) => !kept.has(file));
}

function invalidUpdate(metadata: TableMetadata, problem: string): MillraceError {
  return new MillraceError("TABLE_UPDATE_INVALID", `a commit to ${metadata.location}: ${problem}`, {
    hint: "Nothing was written. Report it with the message, and run `millrace run` again to make the commit anew.",
  });
}
