import { setTimeout } from "node:timers/promises";
import type { Schema } from "apache-arrow";
import type { DataSourceReader } from "../contract/batch-reader.ts";
import type { SchemaLike } from "../contract/data-source.ts";
import { MillraceError } from "../contract/errors.ts";
import type { JsonValue } from "../contract/json.ts";
import { checkOffset, compareByValue, type Offset, sameOffset } from "../contract/offset.ts";
import {
  ReadAllAvailable,
  type ReadLimit,
  ReadMaxBytes,
  ReadMaxFiles,
  ReadMaxRows,
} from "../contract/read-limit.ts";
import type {
  Awaitable,
  DataSourceStreamReader,
  RowSource,
  SimpleDataSourceStreamReader,
  SupportsTriggerAvailableNow,
} from "../contract/stream-reader.ts";
import { checkPartitions } from "../engine/partitions-file.ts";
import { type CheckReport, Findings } from "./report.ts";
import { type RowTexts, readRows, some, surplus } from "./rows.ts";
import { Surroundings, type SurroundingsOptions } from "./surroundings.ts";
import { type AnyReader, type ReaderMaker, readersOf, type SourceTarget } from "./target.ts";

/** What the check may need besides the source. */
export interface CheckSourceOptions extends SurroundingsOptions {
  /** Of a data source class: as a pipeline would set them. */
  readonly options?: Readonly<Record<string, unknown>>;
  /** Of the rows, where a reader is given and not a data source: without it rows are only compared with each other. */
  readonly schema?: SchemaLike;
  /** Brings about that the source has more to read. Else the clock is moved on, where the source goes by that of its `runtime`. */
  advance?(): Awaitable<void>;
  /** True where equal rows are no sign of a row that was read twice. */
  readonly hasDuplicates?: boolean;
}

const HOUR = 3_600_000;
const MOVES = [HOUR, 24 * HOUR, 31 * 24 * HOUR];
const MAX_STEPS = 1000;
const INSTANT_MILLISECONDS = 15;

/**
 * Tries a source for the known traps: asks offsets twice, reads [a,b) + [b,c) against [a,c), replays partitions, sends everything through JSON, commits
 * twice. Resolves where none was found. Error: `CHECK_FAILED`, a `CheckError` that names each trap with the way out.
 */
export async function checkSource(
  target: SourceTarget,
  options: CheckSourceOptions = {},
): Promise<CheckReport> {
  const surroundings = new Surroundings(options);
  const findings = new Findings("the source");
  let makers: readonly ReaderMaker[] = [];
  const isMade = await findings.check("make the source", async () => {
    makers = await readersOf(target, options, surroundings);
  });
  if (!isMade) return findings.report();
  for (const maker of makers) {
    const check = new SourceCheck(maker, options, surroundings, findings);
    if (maker.kind === "stream") await check.stream();
    else if (maker.kind === "simple") await check.simple();
    else await check.batch();
  }
  return findings.report();
}

/** A range of offsets, and what was read of it. */
interface ReadRange {
  readonly start: Offset;
  readonly end: Offset;
  readonly partitions: readonly RowTexts[];
}

type StreamReader = DataSourceStreamReader<object, unknown>;

class SourceCheck {
  readonly #maker: ReaderMaker;
  readonly #options: CheckSourceOptions;
  readonly #surroundings: Surroundings;
  readonly #findings: Findings;

  constructor(
    maker: ReaderMaker,
    options: CheckSourceOptions,
    surroundings: Surroundings,
    findings: Findings,
  ) {
    this.#maker = maker;
    this.#options = options;
    this.#surroundings = surroundings;
    this.#findings = findings;
  }

  async stream(): Promise<void> {
    const findings = this.#findings;
    let a: Offset | undefined;
    await findings.check("initialOffset()", async () => {
      a = checkOffset(await (await this.#streamReader()).initialOffset(), "initialOffset()");
    });
    const start = throughJson(a);
    if (start === undefined) return;
    let limit: ReadLimit = new ReadAllAvailable();
    await findings.check("getDefaultReadLimit()", async () => {
      limit = await (await this.#streamReader()).getDefaultReadLimit();
    });
    const isStable = await findings.check("latestOffset() twice at one instant", () =>
      this.#checkStable((reader) => reader.latestOffset(start, limit)),
    );
    if (!isStable) return;
    const offsets = await this.#findOffsets(start, limit);
    if (offsets === undefined) return;
    const { b, c } = offsets;
    await findings.check("compareOffsets()", () => this.#checkOrder(start, b, c));
    const ab = await this.#readRange(start, b);
    if (ab === undefined) return;
    if (c === undefined) {
      findings.skip(
        "[a,b) + [b,c) against [a,c): the source has one range only; give advance() to make it have more",
      );
    } else {
      const bc = await this.#readRange(b, c);
      const ac = await this.#readRange(start, c);
      if (bc !== undefined && ac !== undefined) this.#compareRanges(ab, bc, ac);
      if (bc !== undefined) await this.#checkCommit(b, c, bc);
    }
    await this.#checkAvailableNow(start, limit);
    await findings.check("stop() twice", async () => {
      const reader = await this.#streamReader();
      await reader.stop();
      await reader.stop();
    });
  }

  async simple(): Promise<void> {
    const findings = this.#findings;
    let a: Offset | undefined;
    await findings.check("initialOffset()", async () => {
      a = checkOffset(await (await this.#simpleReader()).initialOffset(), "initialOffset()");
    });
    const start = throughJson(a);
    if (start === undefined) return;
    let end: Offset | undefined;
    let rows: RowTexts = [];
    const hasRead = await findings.check("read(start)", async () => {
      const read = await (await this.#simpleReader()).read(start);
      if (typeof read !== "object" || read === null || !("rows" in read) || !("offset" in read))
        throw new TypeError("read(start) must give { rows, offset }");
      end = throughJson(checkOffset(read.offset, "read(start), as its offset,"));
      rows = await this.#rowsOf(read.rows);
    });
    if (!hasRead || end === undefined) return;
    if (sameOffset(start, end)) {
      if (rows.length > 0)
        findings.add({
          code: "SIMPLE_STREAM_READER_OFFSET_DID_NOT_ADVANCE",
          message: `read(start) gave ${some(rows)}, but as their end the start itself`,
          hint: "Give the offset that follows the rows.",
        });
      else this.#nothingToRead(start);
      return;
    }
    const last = end;
    await findings.check("readBetweenOffsets(start, end) after read(start)", async () => {
      const again = await this.#rowsOf(await (await this.#simpleReader()).readBetweenOffsets(start, last));
      this.#compareReplay("readBetweenOffsets(start, end)", rows, again, "");
    });
    await findings.check("commit(end) twice", async () => {
      const reader = await this.#simpleReader();
      await reader.commit(last);
      await reader.commit(last);
    });
  }

  async batch(): Promise<void> {
    let partitions: readonly unknown[] = [];
    const isPlanned = await this.#findings.check("partitions()", async () => {
      const reader = (await this.#maker.make()) as DataSourceReader<unknown>;
      partitions = checkedPartitions(await reader.partitions());
    });
    if (!isPlanned) return;
    await this.#readPartitions(partitions, "");
  }

  /** Data that arrives is no sign of an offset that follows the clock, unless it does so each time. */
  async #checkStable(ask: (reader: StreamReader) => Awaitable<object>): Promise<void> {
    let shown = "";
    for (let pair = 0; pair < 3; pair++) {
      const first = checkOffset(await ask(await this.#streamReader()), "latestOffset()");
      this.#surroundings.now += 1;
      await setTimeout(INSTANT_MILLISECONDS);
      const second = checkOffset(await ask(await this.#streamReader()), "latestOffset()");
      if (sameOffset(first, second)) return;
      shown = `${JSON.stringify(first)}, then ${JSON.stringify(second)}`;
    }
    throw new MillraceError(
      "OFFSET_NOT_STABLE",
      `latestOffset(start), asked twice at one instant, gave ${shown}: it follows the clock, or chance`,
      {
        hint: "Rows that belong before such an end, and come a moment later, are lost. Stay behind runtime.now() and round it down: settledNow(now, { lag, step }). If data really arrives that fast, check against a source that stands still.",
      },
    );
  }

  /** Two ranges that follow each other, as far as the source has them. */
  async #findOffsets(a: Offset, limit: ReadLimit): Promise<{ b: Offset; c: Offset | undefined } | undefined> {
    let b: Offset | undefined;
    let c: Offset | undefined;
    await this.#findings.check("latestOffset() again and again", async () => {
      b = await this.#next(a, limit);
      if (b === undefined) return;
      c = await this.#next(b, limit);
      if (c !== undefined) return;
      for (const small of [
        new ReadMaxRows(1),
        new ReadMaxFiles(1),
        new ReadMaxBytes(1),
        new ReadMaxRows(100),
      ]) {
        const middle = await this.#latest(a, small);
        if (sameOffset(middle, a) || sameOffset(middle, b)) continue;
        c = b;
        b = middle;
        return;
      }
    });
    if (b !== undefined) return { b, c };
    this.#nothingToRead(a);
    return undefined;
  }

  /** The end of the next batch; where there is none, after the source was moved on. */
  async #next(start: Offset, limit: ReadLimit): Promise<Offset | undefined> {
    const end = await this.#latest(start, limit);
    if (!sameOffset(start, end)) return end;
    for (const milliseconds of MOVES) {
      if (this.#options.advance !== undefined) await this.#options.advance();
      else this.#surroundings.now += milliseconds;
      const later = await this.#latest(start, limit);
      if (!sameOffset(start, later)) return later;
    }
    return undefined;
  }

  async #latest(start: Offset, limit: ReadLimit): Promise<Offset> {
    const reader = await this.#streamReader();
    const end = checkOffset(await reader.latestOffset(start, limit), "latestOffset()");
    const order = reader.compareOffsets?.(end, start) ?? compareByValue(end, start);
    if (order !== undefined && order < 0)
      throw new MillraceError(
        "OFFSET_WENT_BACK",
        `latestOffset(${JSON.stringify(start)}) gave ${JSON.stringify(end)}, which is before it`,
        {
          hint: "Give the start itself where nothing is new, never an offset before it: rows would be read twice.",
        },
      );
    return throughJson(end) ?? end;
  }

  async #checkOrder(a: Offset, b: Offset, c: Offset | undefined): Promise<void> {
    const reader = await this.#streamReader();
    if (reader.compareOffsets === undefined) return;
    const last = c ?? b;
    const signs = [
      [a, a, 0],
      [a, b, -1],
      [b, a, 1],
      [b, last, sameOffset(b, last) ? 0 : -1],
      [a, last, -1],
    ] as const;
    for (const [x, y, expected] of signs) {
      const found = reader.compareOffsets(x, y);
      if (Math.sign(found) === expected) continue;
      throw new MillraceError(
        "OFFSET_ORDER_WRONG",
        `compareOffsets(${JSON.stringify(x)}, ${JSON.stringify(y)}) gave ${found}`,
        {
          hint: "Give a negative number where the first comes before the second, 0 where they are equal, else a positive one.",
        },
      );
    }
  }

  async #readRange(start: Offset, end: Offset): Promise<ReadRange | undefined> {
    const range = `[${JSON.stringify(start)}, ${JSON.stringify(end)})`;
    let planned: readonly unknown[] = [];
    const isPlanned = await this.#findings.check(`partitions of ${range}`, async () => {
      planned = checkedPartitions(await (await this.#streamReader()).partitions(start, end));
    });
    if (!isPlanned) return undefined;
    const partitions = await this.#readPartitions(planned, ` of ${range}`);
    return partitions === undefined ? undefined : { start, end, partitions };
  }

  /** Each twice, by readers of their own, as tasks and their retries do. */
  async #readPartitions(partitions: readonly unknown[], range: string): Promise<RowTexts[] | undefined> {
    const read: RowTexts[] = [];
    const isRead = await this.#findings.check(`read() of each partition${range}, twice`, async () => {
      for (const [partitionId, partition] of partitions.entries()) {
        const rows = await this.#readPartition(partition, partitionId);
        const again = await this.#readPartition(partition, partitionId);
        this.#compareReplay(
          `read() of partition ${partitionId}${range}`,
          rows,
          again,
          JSON.stringify(partition),
        );
        read.push(rows);
      }
      this.#compareNeighbours(read, range);
    });
    return isRead ? read : undefined;
  }

  async #readPartition(partition: unknown, partitionId: number): Promise<RowTexts> {
    const reader = (await this.#maker.make()) as StreamReader;
    const task = this.#surroundings.taskContext({ partitionId });
    return await this.#rowsOf(await reader.read(structuredClone(partition), task));
  }

  #compareReplay(what: string, rows: RowTexts, again: RowTexts, place: string): void {
    const lost = surplus(rows, again);
    const added = surplus(again, rows);
    if (lost.length === 0 && added.length === 0) return;
    const at = place === "" ? "" : ` (${place})`;
    this.#findings.add({
      code: "READ_NOT_REPEATABLE",
      message: `${what}${at}, a second time, gave ${added.length === 0 ? "no others" : some(added)} and lacked ${lost.length === 0 ? "none" : some(lost)}`,
      hint: "A replay must write the same rows: let partition or offsets say all that is read (ranges, ids, versions), and nothing depend on the clock or on what the reader has done before.",
    });
  }

  #compareNeighbours(partitions: readonly RowTexts[], range: string): void {
    if (this.#options.hasDuplicates === true) return;
    const owner = new Map<string, number>();
    for (const [index, rows] of partitions.entries()) {
      for (const row of rows) {
        const other = owner.get(row);
        if (other === undefined) owner.set(row, index);
        else if (other !== index) {
          this.#findings.add({
            code: "PARTITIONS_OVERLAP",
            message: `partitions ${other} and ${index}${range} both gave ${some([row])}`,
            hint: "Such a row is written twice. Make ranges half-open: the first row of one is the end of the one before it (TimeRange.split does). If equal rows are legitimate, set hasDuplicates.",
          });
          return;
        }
      }
    }
  }

  #compareRanges(ab: ReadRange, bc: ReadRange, ac: ReadRange): void {
    const parts = [...ab.partitions.flat(), ...bc.partitions.flat()];
    const whole = ac.partitions.flat();
    const [a, b, c] = [ab.start, ab.end, bc.end].map((offset) => JSON.stringify(offset));
    const twice = surplus(parts, whole);
    const lost = surplus(whole, parts);
    if (twice.length > 0)
      this.#findings.add({
        code: "RANGES_OVERLAP",
        message: `[a,b) and [b,c) together have ${some(twice)} more than [a,c), with a = ${a}, b = ${b}, c = ${c}`,
        hint: "Rows at b are in both: a range holds its start and not its end. Ask the source for >= start and < end.",
      });
    if (lost.length > 0)
      this.#findings.add({
        code: "RANGES_LOSE_ROWS",
        message: `[a,b) and [b,c) together lack ${some(lost)} that [a,c) has, with a = ${a}, b = ${b}, c = ${c}`,
        hint: "Rows at b are in neither: a range holds its start and not its end. Ask the source for >= start and < end.",
      });
  }

  async #checkCommit(b: Offset, c: Offset, before: ReadRange): Promise<void> {
    const isCommitted = await this.#findings.check("commit(b) twice", async () => {
      const reader = await this.#streamReader();
      await reader.commit(b);
      await reader.commit(b);
      await (await this.#streamReader()).commit(b);
    });
    if (!isCommitted) return;
    const after = await this.#readRange(b, c);
    const lost = surplus(before.partitions.flat(), after?.partitions.flat() ?? []);
    if (after === undefined || lost.length === 0) return;
    this.#findings.add({
      code: "COMMIT_FORGETS_TOO_MUCH",
      message: `after commit(b), [b,c) lacks ${some(lost)}, with b = ${JSON.stringify(b)}, c = ${JSON.stringify(c)}`,
      hint: "commit(end) may let go of what is before end, never of end itself or what follows.",
    });
  }

  async #checkAvailableNow(start: Offset, limit: ReadLimit): Promise<void> {
    if (!("prepareForTriggerAvailableNow" in (await this.#streamReader()))) return;
    await this.#findings.check("availableNow", async () => {
      const reader = (await this.#streamReader()) as StreamReader & SupportsTriggerAvailableNow;
      await reader.prepareForTriggerAvailableNow();
      const first = checkOffset(await reader.latestOffset(start, limit), "latestOffset()");
      const target = await reader.availableNowTarget?.();
      let at = first;
      for (let steps = 0; ; steps++) {
        this.#surroundings.now += HOUR;
        const next = checkOffset(await reader.latestOffset(at, limit), "latestOffset()");
        if (sameOffset(at, next)) break;
        at = next;
        if (steps < MAX_STEPS) continue;
        throw new MillraceError(
          "AVAILABLE_NOW_ENDLESS",
          `after prepareForTriggerAvailableNow() there was more in each of ${MAX_STEPS} batches, while time went on`,
          {
            hint: "Fix the end in prepareForTriggerAvailableNow(), and let latestOffset() never go beyond it.",
          },
        );
      }
      if (target === undefined || !("restoreAvailableNow" in reader)) return;
      const other = (await this.#streamReader()) as StreamReader & SupportsTriggerAvailableNow;
      await other.restoreAvailableNow?.(throughJson(target as JsonValue) as JsonValue);
      const end = checkOffset(await other.latestOffset(at, limit), "latestOffset()");
      if (sameOffset(end, at)) return;
      throw new MillraceError(
        "AVAILABLE_NOW_NOT_RESTORED",
        `after restoreAvailableNow(${JSON.stringify(target)}) the run goes on from ${JSON.stringify(at)} to ${JSON.stringify(end)}`,
        { hint: "restoreAvailableNow(target) must fix the same end as the prepare that gave the target." },
      );
    });
  }

  #nothingToRead(start: Offset): void {
    this.#findings.add({
      code: "NOTHING_TO_CHECK",
      message: `the source has nothing after ${JSON.stringify(start)}`,
      hint: "Give it something to read: a check of nothing says nothing. advance() may bring it about.",
    });
  }

  async #rowsOf(rows: RowSource | PromiseLike<RowSource>): Promise<RowTexts> {
    return await readRows(await rows, this.#maker.schema as Schema | undefined, (problem) =>
      this.#findings.add(problem),
    );
  }

  async #streamReader(): Promise<StreamReader> {
    return (await this.#maker.make()) as AnyReader as StreamReader;
  }

  async #simpleReader(): Promise<SimpleDataSourceStreamReader<object>> {
    return (await this.#maker.make()) as SimpleDataSourceStreamReader<object>;
  }
}

/** Partitions as a task gets them. Errors: those of planning. */
function checkedPartitions(partitions: unknown): readonly unknown[] {
  if (!Array.isArray(partitions)) throw new TypeError("partitions must be an array");
  checkPartitions(partitions, Number.POSITIVE_INFINITY);
  return throughJson(partitions) ?? [];
}

function throughJson<T>(value: T): T {
  return value === undefined ? value : (JSON.parse(JSON.stringify(value)) as T);
}
