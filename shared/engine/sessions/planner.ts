import { type ErrorLocation, MillraceError } from "../../contract/errors.ts";
import { findNonJson, type JsonValue } from "../../contract/json.ts";
import { checkOffset, compareByValue, type Offset } from "../../contract/offset.ts";
import { checkReadLimit, type ReadLimit } from "../../contract/read-limit.ts";
import {
  type Awaitable,
  DataSourceStreamReader,
  type SupportsSetAside,
  type SupportsTriggerAvailableNow,
} from "../../contract/stream-reader.ts";
import { checkPartitionsArray } from "../partitions-file.ts";
import { BatchPlanner } from "./batch-planner.ts";
import { guard } from "./guard.ts";
import type { Latest } from "./latest.ts";
import { SimplePlanner } from "./simple-planner.ts";

export interface PlannerOptions {
  readonly pipeline: string;
  /**
   * Called with the name of a reader's method when the call starts, and with `undefined` when it
   * has ended.
   */
  readonly onCall?: ((method: string | undefined) => void) | undefined;
}

type Reader = DataSourceStreamReader<object, unknown>;

/**
 * The reader that plans batches. It calls the methods of the contract and checks their results.
 * Each error gets a location.
 */
export class Planner {
  readonly reader: Reader;
  readonly #options: PlannerOptions;
  #defaultLimit: ReadLimit | undefined;

  constructor(reader: Reader, options: PlannerOptions) {
    this.reader = reader;
    this.#options = options;
  }

  /** False for a simple reader, which reads rows each time that it is asked for an end. */
  get canRepeatLatestOffset(): boolean {
    return !(this.reader instanceof SimplePlanner);
  }

  /**
   * Returns true if the reader fixes the end of the run. Makes it fix the end now, or restores
   * `target`, which it fixed in another process of the same run.
   */
  async prepareForTriggerAvailableNow(target?: JsonValue): Promise<boolean> {
    if (!("prepareForTriggerAvailableNow" in this.reader)) return false;
    const boundedReader = this.reader as Reader & SupportsTriggerAvailableNow;
    const { restoreAvailableNow } = boundedReader;
    if (target !== undefined && restoreAvailableNow !== undefined) {
      await this.#call("restoreAvailableNow", () => restoreAvailableNow.call(boundedReader, target));
    } else {
      await this.#call("prepareForTriggerAvailableNow", () => boundedReader.prepareForTriggerAvailableNow());
    }
    return true;
  }

  /**
   * Returns the end that the reader fixed, or `undefined` if it has no `availableNowTarget`. Throws
   * `AVAILABLE_NOW_INVALID`, also if its JSON has more than `maxCharacters`.
   */
  async availableNowTarget(maxCharacters: number): Promise<JsonValue | undefined> {
    const target: unknown = await this.#call("availableNowTarget", (reader) =>
      (reader as Partial<SupportsTriggerAvailableNow>).availableNowTarget?.(),
    );
    if (target === undefined) return undefined;
    const problem = findNonJson(target, "target");
    const characters = problem === undefined ? JSON.stringify(target).length : 0;
    if (problem === undefined && characters <= maxCharacters) return target as JsonValue;
    throw new MillraceError(
      "AVAILABLE_NOW_INVALID",
      `availableNowTarget() gave ${problem ?? `${characters} characters of JSON`}`,
      {
        where: this.#where,
        hint: `Give JSON of at most ${maxCharacters} characters, such as the last offset of the run: it travels with the run.`,
      },
    );
  }

  /** Returns the reader's own limit; the reader is asked only once. Throws `READ_LIMIT_INVALID`. */
  async defaultReadLimit(): Promise<ReadLimit> {
    this.#defaultLimit ??= await this.#call("getDefaultReadLimit", async (reader) =>
      checkReadLimit(await reader.getDefaultReadLimit(), "getDefaultReadLimit()"),
    );
    return this.#defaultLimit;
  }

  async initialOffset(): Promise<Offset> {
    return checkOffset(
      await this.#call("initialOffset", (reader) => reader.initialOffset()),
      "initialOffset()",
    );
  }

  /**
   * Returns the offset that a person gives, as the reader reads it, or `undefined` if the reader
   * cannot say so. Throws the reader's error, or `OFFSET_NOT_JSON`.
   */
  async deserializeOffset(json: Offset): Promise<Offset | undefined> {
    const reader = this.reader instanceof SimplePlanner ? this.reader.reader : this.reader;
    if (reader.deserializeOffset === undefined) return undefined;
    const read = await this.#call("deserializeOffset", () => reader.deserializeOffset?.(json));
    return checkOffset(read, "deserializeOffset()");
  }

  /** Returns the end of the next batch. Throws `OFFSET_NOT_JSON` or `OFFSET_WENT_BACK`. */
  async latestOffset(start: Offset, limit: ReadLimit): Promise<Latest> {
    const latest = await this.#call("latestOffset", async (reader) =>
      reader instanceof SimplePlanner
        ? await reader.readFrom(start)
        : { end: await reader.latestOffset(start, limit) },
    );
    const end = checkOffset(latest.end, "latestOffset()");
    const order = await this.#call("compareOffsets", (reader) => reader.compareOffsets?.(end, start));
    if ((order ?? compareByValue(end, start) ?? 0) >= 0) return { ...latest, end };
    throw new MillraceError(
      "OFFSET_WENT_BACK",
      `${this.canRepeatLatestOffset ? "latestOffset()" : "read(start)"} gave ${JSON.stringify(end)}, which is before the start ${JSON.stringify(start)}`,
      {
        where: this.#where,
        hint: "Give the start itself where nothing is new, never an offset before it.",
      },
    );
  }

  /**
   * Returns the end of all available data, or `undefined` if the reader does not report it. Throws
   * `OFFSET_NOT_JSON`.
   */
  async reportLatestOffset(): Promise<Offset | undefined> {
    const latest = await this.#call("reportLatestOffset", (reader) => reader.reportLatestOffset());
    return (latest ?? undefined) === undefined ? undefined : checkOffset(latest, "reportLatestOffset()");
  }

  /** Returns the partitions of a range. Throws `PARTITIONS_NOT_AN_ARRAY`. */
  async partitions(start: Offset, end: Offset): Promise<readonly unknown[]> {
    const partitions: unknown = await this.#call("partitions", (reader) => reader.partitions(start, end));
    return checkPartitionsArray(partitions, this.reader instanceof BatchPlanner, this.#where);
  }

  async commit(end: Offset): Promise<void> {
    await this.#call("commit", (reader) => reader.commit(end));
  }

  /** True if the reader can keep the rows of a batch that is skipped. */
  get canSetAside(): boolean {
    return "setAside" in this.reader;
  }

  /** True if the reader's `commit` may make the source forget rows: it has one of its own. */
  get forgets(): boolean {
    const reader = this.reader instanceof SimplePlanner ? this.reader.reader : this.reader;
    // Another copy of the package has another class with the same method.
    return String(reader.commit) !== String(DataSourceStreamReader.prototype.commit);
  }

  /**
   * Lets the reader keep the rows of a batch that is skipped. Returns where they are, for a person.
   */
  async setAside(start: Offset, end: Offset, where: ErrorLocation): Promise<string> {
    const reader = this.reader as Partial<SupportsSetAside>;
    return await guard("SOURCE_FAILED", "setAside() failed", where, async () =>
      String(await reader.setAside?.(start, end)),
    );
  }

  async #call<T>(method: string, body: (reader: Reader) => Awaitable<T>): Promise<T> {
    const { onCall } = this.#options;
    onCall?.(`${method}()`);
    try {
      return await guard("SOURCE_FAILED", `${method}() failed`, this.#where, () => body(this.reader));
    } finally {
      onCall?.(undefined);
    }
  }

  get #where(): { readonly pipeline: string } {
    return { pipeline: this.#options.pipeline };
  }
}
