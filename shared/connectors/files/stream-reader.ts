import type { Schema } from "apache-arrow";
import * as z from "zod";
import type { DataSourceRuntime, TaskContext } from "../../contract/context.ts";
import { MillraceError } from "../../contract/errors.ts";
import type { JsonValue } from "../../contract/json.ts";
import type { ObjectInfo, ObjectStore } from "../../contract/object-store.ts";
import type { Offset } from "../../contract/offset.ts";
import { type ReadLimit, ReadMaxFiles } from "../../contract/read-limit.ts";
import {
  DataSourceStreamReader,
  type RowSource,
  type SupportsTriggerAvailableNow,
} from "../../contract/stream-reader.ts";
import { offsetOf } from "../kit/offset-fields.ts";
import type { RecordContent } from "./bad-record.ts";
import { byTime, type FileGroup, FileSelection, listFiles, partitionsOf } from "./folder.ts";
import type { ParsedOptions } from "./options.ts";
import { readFiles, readRecordsAgain } from "./read.ts";
import { type Fingerprint, fingerprint, SeenFiles } from "./seen.ts";

/** The common part of the two stream readers. Their offsets count the files that were read. */
abstract class FilesReader<O extends { readonly files: number }>
  extends DataSourceStreamReader<O, FileGroup>
  implements SupportsTriggerAvailableNow
{
  protected readonly options: ParsedOptions;
  protected readonly runtime: DataSourceRuntime;
  protected readonly store: ObjectStore;
  readonly #schema: Schema;
  #availableNow: number | undefined;

  constructor(schema: Schema, options: ParsedOptions, runtime: DataSourceRuntime) {
    super();
    this.#schema = schema;
    this.options = options;
    this.runtime = runtime;
    this.store = runtime.openStore(options.path);
  }

  prepareForTriggerAvailableNow(): void {
    this.#availableNow = this.runtime.now();
  }

  availableNowTarget(): number | undefined {
    return this.#availableNow;
  }

  restoreAvailableNow(target: JsonValue): void {
    this.#availableNow = Number(target);
  }

  override getDefaultReadLimit(): ReadLimit {
    return new ReadMaxFiles(this.options.maxFilesPerBatch);
  }

  override read(partition: FileGroup, task: TaskContext): RowSource {
    return readFiles(this.store, this.#schema, this.options, partition, task);
  }

  readBadRows(contents: readonly RecordContent[], { badRows }: TaskContext): RowSource {
    return readRecordsAgain(this.#schema, this.options, contents, badRows);
  }

  override compareOffsets(a: O, b: O): number {
    return a.files - b.files;
  }

  protected get isBounded(): boolean {
    return this.#availableNow !== undefined;
  }

  /**
   * Files modified after the returned time may still be written. Call it before the files are
   * listed.
   */
  protected settledAt(): number {
    return (this.#availableNow ?? this.runtime.now()) - this.options.settleSeconds * 1000;
  }

  /** Lists the files after `startAfter`. `start` tells whether files were read before. */
  protected list(start: O, startAfter?: string): AsyncGenerator<ObjectInfo> {
    const { store, options } = this;
    const isKnown = start.files > 0;
    return listFiles({ store, options, schema: this.#schema, now: this.runtime.now(), startAfter, isKnown });
  }

  /**
   * Returns the partitions for the files between two offsets. Error: `FILE_CHANGED` if some of the
   * files are gone.
   */
  protected partitionsOf(files: readonly ObjectInfo[], start: O, end: O): FileGroup[] {
    const expected = end.files - start.files;
    if (files.length === expected) return partitionsOf(files, this.options);
    throw new MillraceError(
      "FILE_CHANGED",
      `the batch had ${expected} files when its end was found, and has ${files.length} now`,
      {
        where: { path: this.store.location },
        hint: "Files must stay as they are until their batch is committed. Run again: the batch was not recorded.",
      },
    );
  }
}

/**
 * The offset of `TimeOrderReader`: the last file that was read, the number of files read, and the
 * id of the record that lists them.
 */
type TimeOffset = {
  readonly files: number;
  readonly time?: string;
  readonly key?: string;
  readonly seen?: string;
};

const COUNT = z.number().int().nonnegative();
const TIME_OFFSET: z.ZodType<TimeOffset> = z.strictObject({
  files: COUNT,
  time: z.iso.datetime().exactOptional(),
  key: z.string().exactOptional(),
  seen: z.string().exactOptional(),
});

interface ListedFile extends Fingerprint {
  readonly info: ObjectInfo;
}

/** Reads unread files, oldest first. The pipeline's store records which files were read. */
export class TimeOrderReader extends FilesReader<TimeOffset> {
  readonly #seen: SeenFiles;
  #listed: ReadonlyMap<bigint, ListedFile> | undefined;

  constructor(schema: Schema, options: ParsedOptions, runtime: DataSourceRuntime) {
    super(schema, options, runtime);
    this.#seen = new SeenFiles(runtime.store);
  }

  override initialOffset(): TimeOffset {
    return { files: 0 };
  }

  /** Errors: `OFFSET_FIELD_INVALID`, `SEEN_FILES_MISSING`. */
  override async deserializeOffset(json: Offset): Promise<TimeOffset> {
    const offset = offsetOf(TIME_OFFSET, json);
    await this.#seen.at(offset.seen);
    return offset;
  }

  override async latestOffset(start: TimeOffset, limit: ReadLimit): Promise<TimeOffset> {
    const settledAt = this.settledAt();
    // A run with `availableNow` lists the files only once.
    if (!this.isBounded) this.#listed = undefined;
    const listed = await this.#list(start);
    const versionOf = await this.#seen.at(start.seen);
    const unread: ObjectInfo[] = [];
    for (const { info, name, version } of listed.values()) {
      const read = versionOf(name);
      if (read === version) continue;
      if (read !== undefined && !this.options.allowOverwrites) throw fileChanged(this.store, info);
      if (info.modifiedAt <= settledAt) unread.push(info);
    }
    const selection = new FileSelection(limit, this.options);
    for (const file of unread.sort(byTime)) if (!selection.tryAdd(file)) break;
    const last = selection.files.at(-1);
    if (last === undefined) return start;
    const fingerprints = selection.files.map(fingerprint);
    return {
      files: start.files + selection.files.length,
      time: new Date(last.modifiedAt).toISOString(),
      key: last.key,
      seen: await this.#seen.add(start.seen, fingerprints, listed, this.runtime.now()),
    };
  }

  override async partitions(start: TimeOffset, end: TimeOffset): Promise<FileGroup[]> {
    const before = await this.#seen.at(start.seen);
    const after = await this.#seen.at(end.seen);
    const files = [...(await this.#list(start)).values()]
      .filter(({ name, version }) => after(name) === version && before(name) !== version)
      .map(({ info }) => info);
    return this.partitionsOf(files.sort(byTime), start, end);
  }

  override async commit(end: TimeOffset): Promise<void> {
    if (end.seen !== undefined) await this.#seen.deleteOldRecords(end.seen);
  }

  async #list(start: TimeOffset): Promise<ReadonlyMap<bigint, ListedFile>> {
    if (this.#listed !== undefined) return this.#listed;
    const listed = new Map<bigint, ListedFile>();
    for await (const info of this.list(start)) {
      const file = { info, ...fingerprint(info) };
      listed.set(file.name, file);
    }
    this.#listed = listed;
    return listed;
  }
}

/** The offset of `KeyOrderReader`: the last file that was read and the number of files read. */
type KeyOffset = { readonly files: number; readonly key?: string };

const KEY_OFFSET: z.ZodType<KeyOffset> = z.strictObject({ files: COUNT, key: z.string().exactOptional() });

/** Reads the files whose names come after the last one read. */
export class KeyOrderReader extends FilesReader<KeyOffset> {
  /** The batch that was planned last. `partitions` uses it to avoid a second listing. */
  #planned:
    | { readonly start: KeyOffset; readonly end: KeyOffset; readonly files: readonly ObjectInfo[] }
    | undefined;

  override initialOffset(): KeyOffset {
    return { files: 0 };
  }

  override deserializeOffset(json: Offset): KeyOffset {
    return offsetOf(KEY_OFFSET, json);
  }

  override async latestOffset(start: KeyOffset, limit: ReadLimit): Promise<KeyOffset> {
    const settledAt = this.settledAt();
    const selection = new FileSelection(limit, this.options);
    for await (const file of this.list(start, start.key)) {
      // Stops at the first file that is too new or does not fit. Names before the offset are never
      // listed again, so no file may be skipped.
      if (file.modifiedAt > settledAt || !selection.tryAdd(file)) break;
    }
    const key = selection.files.at(-1)?.key;
    if (key === undefined) return start;
    const end = { files: start.files + selection.files.length, key };
    this.#planned = { start, end, files: selection.files };
    return end;
  }

  override async partitions(start: KeyOffset, end: KeyOffset): Promise<FileGroup[]> {
    const planned = this.#planned;
    if (planned !== undefined && planned.start.key === start.key && planned.end.key === end.key)
      return this.partitionsOf(planned.files, start, end);
    const files: ObjectInfo[] = [];
    for await (const file of this.list(start, start.key)) {
      files.push(file);
      if (file.key === end.key) break;
    }
    return this.partitionsOf(files, start, end);
  }
}

function fileChanged(store: ObjectStore, { key }: ObjectInfo): MillraceError {
  return new MillraceError("FILE_CHANGED", `${key} was read, and has changed since`, {
    where: { path: `${store.location}/${key}` },
    hint: "Write each file once, whole, under a name of its own. To read all of this one again, give it another name, or set `allowOverwrites: true`; to go on without its change, move it away.",
  });
}
