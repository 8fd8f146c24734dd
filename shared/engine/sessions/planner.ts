import type { RecordBatch } from "apache-arrow";
import { MillraceError } from "../../contract/errors.ts";
import { findNonJson, type JsonValue } from "../../contract/json.ts";
import { checkOffset, compareByValue, type Offset } from "../../contract/offset.ts";
import { checkReadLimit, type ReadLimit } from "../../contract/read-limit.ts";
import type {
  Awaitable,
  DataSourceStreamReader,
  SupportsTriggerAvailableNow,
} from "../../contract/stream-reader.ts";
import { checkPartitionsArray } from "../partitions-file.ts";
import { BatchPlanner } from "./batch-planner.ts";
import { guard } from "./guard.ts";
import { SimplePlanner } from "./simple-planner.ts";

export interface PlannerOptions {
  readonly pipeline: string;
  /**
   * Called when a method of the reader is called, with its name, and again, without one, when it
   * has answered.
   */
  readonly onCall?: ((method: string | undefined) => void) | undefined;
}

/** Where a batch ends, and what was read to find out. */
export interface Latest {
  readonly end: Offset;
  /** The rows of the batch, from a simple reader, which reads them to find its end. */
  readonly rows?: AsyncIterable<RecordBatch>;
}

type Reader = DataSourceStreamReader<object, unknown>;

/**
 * The reader that plans: the calls of the contract, each with its checks, and each error with the
 * place where it happened.
 */
export class Planner {
  readonly reader: Reader;
  readonly #options: PlannerOptions;
  #defaultLimit: ReadLimit | undefined;

  constructor(reader: Reader, options: PlannerOptions) {
    this.reader = reader;
    this.#options = options;
  }

  /** False for a simple reader, which reads its rows to find an offset. */
  get canAskAgain(): boolean {
    return !(this.reader instanceof SimplePlanner);
  }

  /**
   * True if the reader fixes what "available now" is; it is told to, or reminded of the `target`
   * that it fixed in another process of the same run.
   */
  async prepareForTriggerAvailableNow(target?: JsonValue): Promise<boolean> {
    if (!("prepareForTriggerAvailableNow" in this.reader)) return false;
    const bounded = this.reader as Reader & SupportsTriggerAvailableNow;
    const { restoreAvailableNow } = bounded;
    if (target !== undefined && restoreAvailableNow !== undefined) {
      await this.#call("restoreAvailableNow", () => restoreAvailableNow.call(bounded, target));
    } else {
      await this.#call("prepareForTriggerAvailableNow", () => bounded.prepareForTriggerAvailableNow());
    }
    return true;
  }

  /**
   * What the reader fixed as available, if it can tell. Error: `AVAILABLE_NOW_INVALID`, for more
   * than `maxCharacters` of JSON, too.
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

  /** The reader's own limit, asked once. Error: `READ_LIMIT_INVALID`. */
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

  /** The end of the next batch. Errors: `OFFSET_NOT_JSON`, `OFFSET_WENT_BACK`. */
  async latestOffset(start: Offset, limit: ReadLimit): Promise<Latest> {
    const latest = await this.#call("latestOffset", async (reader) =>
      reader instanceof SimplePlanner
        ? await reader.readOn(start)
        : { end: await reader.latestOffset(start, limit) },
    );
    const end = checkOffset(latest.end, "latestOffset()");
    const order = await this.#call("compareOffsets", (reader) => reader.compareOffsets?.(end, start));
    if ((order ?? compareByValue(end, start) ?? 0) >= 0) return { ...latest, end };
    throw new MillraceError(
      "OFFSET_WENT_BACK",
      `${this.canAskAgain ? "latestOffset()" : "read(start)"} gave ${JSON.stringify(end)}, which is before the start ${JSON.stringify(start)}`,
      {
        where: this.#where,
        hint: "Give the start itself where nothing is new, never an offset before it.",
      },
    );
  }

  /** The end of all that is there, if the reader can tell. Error: `OFFSET_NOT_JSON`. */
  async reportLatestOffset(): Promise<Offset | undefined> {
    const latest = await this.#call("reportLatestOffset", (reader) => reader.reportLatestOffset());
    return (latest ?? undefined) === undefined ? undefined : checkOffset(latest, "reportLatestOffset()");
  }

  /** Error: `PARTITIONS_NOT_AN_ARRAY`. */
  async partitions(start: Offset, end: Offset): Promise<readonly unknown[]> {
    const partitions: unknown = await this.#call("partitions", (reader) => reader.partitions(start, end));
    return checkPartitionsArray(partitions, this.reader instanceof BatchPlanner, this.#where);
  }

  async commit(end: Offset): Promise<void> {
    await this.#call("commit", (reader) => reader.commit(end));
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
