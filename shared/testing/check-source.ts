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
import { checkPartitions, checkPartitionsArray } from "../engine/partitions-file.ts";
import { checkSimpleRead, didNotAdvance } from "../engine/sessions/simple-planner.ts";
import { type Asked, changeOf, isPresentSecond } from "./guesses/clock.ts";
import { guessOverlap } from "./guesses/overlap.ts";
import { middlesOf } from "./middles.ts";
import { type CheckReport, Findings } from "./report.ts";
import { type RowTexts, readRows, some, surplus } from "./rows.ts";
import { Surroundings, type SurroundingsOptions } from "./surroundings.ts";
import { type AnyReader, type ReaderMaker, readersOf, type SourceTarget } from "./target.ts";
import { throughJson } from "./through-json.ts";

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
  /** True for a source that never has more than one range: that its ranges neither overlap nor lose rows is then not checked. */
  readonly singleRange?: boolean;
}

const SECOND = 1000;
const HOUR = 3_600_000;
const MOVES = [HOUR, 24 * HOUR, 31 * 24 * HOUR];
const MAX_STEPS = 1000;
/** How far the clock moves between two questions of a pair: no counter goes in these steps. */
const PAUSES = [7, 11, 13];
const REAL_PAUSE_MILLISECONDS = 15;
const MORE_QUESTIONS = 4;

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

/** What a simple reader read from `start` on. */
interface SimpleRange {
  readonly start: Offset;
  readonly end: Offset;
  readonly rows: RowTexts;
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
    const askEnd = async () =>
      checkOffset(await (await this.#streamReader()).latestOffset(start, limit), "latestOffset()");
    const isStable = await findings.check("latestOffset() twice at one instant", async () => {
      const reader = await this.#streamReader();
      const compare = reader.compareOffsets?.bind(reader);
      if (await this.#checkStable("latestOffset()", askEnd, compare)) await this.#noteLag(start, askEnd);
    });
    if (!isStable) return;
    const offsets = await this.#findOffsets(start, limit);
    if (offsets === undefined) return;
    const { b, c, isComplete } = offsets;
    await findings.check("compareOffsets()", () => this.#checkOrder(start, b, c));
    const ab = await this.#readRange(start, b);
    if (ab === undefined) return;
    if (c === undefined) {
      if (isComplete)
        await this.#checkOnlyRange(start, b, ab.partitions.flat(), (middle) => [
          () => this.#plainRows(start, middle),
          () => this.#plainRows(middle, b),
        ]);
    } else {
      const bc = await this.#readRange(b, c);
      const ac = await this.#readRange(start, c);
      if (bc !== undefined && ac !== undefined)
        this.#compareRanges(
          [...ab.partitions.flat(), ...bc.partitions.flat()],
          ac.partitions.flat(),
          placesOf(start, b, c),
        );
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
    const first = await this.#nextRead(start, "read(start)");
    if (first.range === undefined) {
      if (first.isRead) this.#nothingToRead(start);
      return;
    }
    const { range: ab } = first;
    if (!(await findings.check("read(start) twice at one instant", () => this.#checkReadStable(start))))
      return;
    if (!(await this.#replayBetween(ab, "readBetweenOffsets(start, end)"))) return;
    const { isRead, range: bc } = await this.#nextRead(ab.end, "read(b)");
    if (!isRead) return;
    if (bc === undefined) {
      await this.#checkOnlyRange(start, ab.end, ab.rows, (middle) => [
        () => this.#rowsBetween(start, middle),
        () => this.#rowsBetween(middle, ab.end),
      ]);
      await this.#commitSimple(ab.end);
    } else {
      await this.#checkSimpleRanges(ab, bc);
    }
  }

  async #checkSimpleRanges(ab: SimpleRange, bc: SimpleRange): Promise<void> {
    if (!(await this.#replayBetween(bc, "readBetweenOffsets(b, c)"))) return;
    const places = placesOf(ab.start, ab.end, bc.end);
    await this.#findings.check("read(a) + read(b) against readBetweenOffsets(a, c)", async () => {
      const whole = await this.#rowsBetween(ab.start, bc.end);
      if (ab.rows.length + bc.rows.length + whole.length === 0)
        this.#findings.skip("rows: read(start) and the read after it gave none, so nothing was compared");
      this.#compareRanges([...ab.rows, ...bc.rows], whole, places);
      const known = new Set(ab.rows);
      const both = this.#options.hasDuplicates === true ? [] : bc.rows.filter((row) => known.has(row));
      if (both.length > 0)
        this.#findings.add({
          code: "RANGES_OVERLAP",
          message: `read(a) and read(b) both gave ${some(both)}, with ${places}`,
          hint: `${OVERLAP_HINT} If equal rows are legitimate, set hasDuplicates.`,
        });
    });
    if (!(await this.#commitSimple(ab.end))) return;
    await this.#findings.check("readBetweenOffsets(b, c) after commit(b)", async () => {
      const lost = surplus(bc.rows, await this.#rowsBetween(bc.start, bc.end));
      if (lost.length > 0) this.#forgetsTooMuch(lost, bc.start, bc.end);
    });
  }

  async #commitSimple(end: Offset): Promise<boolean> {
    return await this.#findings.check("commit(b) twice", async () => {
      const reader = await this.#simpleReader();
      await reader.commit(end);
      await reader.commit(end);
    });
  }

  /** What comes next; where there is nothing, after the source was moved on. */
  async #nextRead(
    start: Offset,
    what: string,
  ): Promise<{ readonly isRead: boolean; readonly range?: SimpleRange }> {
    let range: SimpleRange | undefined;
    const isRead = await this.#findings.check(what, async () => {
      for (const milliseconds of [0, ...MOVES]) {
        if (milliseconds > 0) await this.#moveOn(milliseconds);
        const read = await this.#readSimple(start);
        if (!sameOffset(start, read.end)) {
          range = read;
          return;
        }
      }
    });
    return range === undefined ? { isRead } : { isRead, range };
  }

  async #readSimple(start: Offset): Promise<SimpleRange> {
    const read = checkSimpleRead(await (await this.#simpleReader()).read(start), {});
    const end = throughJson(read.offset);
    const rows = await this.#rowsOf(read.rows);
    if ((compareByValue(end, start) ?? 0) < 0) throw wentBack("read", start, end);
    if (rows.length > 0 && sameOffset(start, end)) throw didNotAdvance(start, {});
    return { start, end, rows };
  }

  /** As tasks have it: by readers that did not read before. */
  async #rowsBetween(start: Offset, end: Offset): Promise<RowTexts> {
    return await this.#rowsOf((await this.#simpleReader()).readBetweenOffsets(start, end));
  }

  async #replayBetween({ start, end, rows }: SimpleRange, what: string): Promise<boolean> {
    let isSame = false;
    await this.#findings.check(`${what} after read`, async () => {
      isSame = this.#compareReplay(what, rows, await this.#rowsBetween(start, end), "");
    });
    return isSame;
  }

  /** A source that grows may give more the next time, and has what it had. */
  async #checkReadStable(start: Offset): Promise<void> {
    const reads: SimpleRange[] = [];
    const ask = async () => {
      const read = await this.#readSimple(start);
      reads.push(read);
      return read.end;
    };
    const isStable = await this.#checkStable("read(start)", ask, undefined);
    if (!isStable && reads.every(({ rows }) => rows.length === 0))
      throw notStable(
        "read(start), asked again and again, gave no rows, but each time another offset",
        "Give the start itself where there is nothing.",
      );
    const [first, ...others] = reads;
    if (first === undefined) return;
    for (const again of others) {
      const hasGrown = !sameOffset(first.end, again.end);
      if (hasGrown && surplus(first.rows, again.rows).length === 0) continue;
      if (!this.#compareReplay("read(start)", first.rows, again.rows, "")) break;
    }
    if (isStable) await this.#noteLag(start, ask);
  }

  async batch(): Promise<void> {
    let partitions: readonly unknown[] = [];
    const isPlanned = await this.#findings.check("partitions()", async () => {
      const reader = (await this.#maker.make()) as DataSourceReader<unknown>;
      partitions = checkedPartitions(await reader.partitions(), true);
    });
    if (!isPlanned) return;
    await this.#readPartitions(partitions, "");
  }

  /** False where data seems to arrive while it is asked, of which it takes note. Error: `OFFSET_NOT_STABLE`. */
  async #checkStable(
    what: string,
    askEnd: () => Promise<Offset>,
    compare: ((a: Offset, b: Offset) => number) | undefined,
  ): Promise<boolean> {
    const ask = async (): Promise<Asked> => {
      const { now } = this.#surroundings;
      const from = performance.now();
      const end = await askEnd();
      return { end, now, realNow: this.#surroundings.realNow(), from, to: performance.now() };
    };
    const pairs: (readonly [Asked, Asked])[] = [];
    for (const pause of PAUSES) {
      const first = await ask();
      this.#surroundings.now += pause;
      await setTimeout(REAL_PAUSE_MILLISECONDS);
      const second = await ask();
      if (sameOffset(first.end, second.end)) return true;
      pairs.push([first, second]);
    }
    const all = pairs.flat();
    for (let more = 0; more < MORE_QUESTIONS; more++) all.push(await ask());
    const change = changeOf(pairs, all, compare);
    if (change === "growth") {
      this.#findings.skip(
        `that the end stands still: ${what} grows while it is asked: data seems to arrive; check against a source that stands still`,
      );
      return false;
    }
    const shown = pairs
      .at(-1)
      ?.map(({ end }) => JSON.stringify(end))
      .join(", then ");
    throw change === "clock"
      ? notStable(
          `${what}, asked twice at one instant, gave ${shown}: it follows the clock`,
          "Rows that belong before such an end, and come a moment later, are lost. Stay behind runtime.now() and round it down: settledNow(now, { lag, step }). If data really arrives that fast, check against a source that stands still.",
        )
      : notStable(
          `${what}, asked twice at one instant, gave ${shown}: it follows chance`,
          "Let the end say what there is to read, and be the same where that is: a replay asks for the rows between two offsets. If data really arrives that fast, check against a source that stands still, or give compareOffsets.",
        );
  }

  /** An end that is the present second, and goes with it. */
  async #noteLag(start: Offset, ask: () => Promise<Offset>): Promise<void> {
    const end = await ask();
    const clocks = [this.#surroundings.now, this.#surroundings.realNow()];
    if (sameOffset(start, end) || !isPresentSecond(end, clocks)) return;
    this.#surroundings.now += SECOND;
    await setTimeout(SECOND);
    if (sameOffset(end, await ask())) return;
    this.#findings.skip(
      "late rows: the end is the present second: rows that come late are lost unless the source waits for them (settledNow's lag)",
    );
  }

  /** Two ranges that follow each other, as far as the source has them. */
  async #findOffsets(
    a: Offset,
    limit: ReadLimit,
  ): Promise<{ b: Offset; c: Offset | undefined; isComplete: boolean } | undefined> {
    let b: Offset | undefined;
    let c: Offset | undefined;
    const isComplete = await this.#findings.check("latestOffset() again and again", async () => {
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
    if (b !== undefined) return { b, c, isComplete };
    if (isComplete) this.#nothingToRead(a);
    return undefined;
  }

  /** The end of the next batch; where there is none, after the source was moved on. */
  async #next(start: Offset, limit: ReadLimit): Promise<Offset | undefined> {
    const end = await this.#latest(start, limit);
    if (!sameOffset(start, end)) return end;
    for (const milliseconds of MOVES) {
      await this.#moveOn(milliseconds);
      const later = await this.#latest(start, limit);
      if (!sameOffset(start, later)) return later;
    }
    return undefined;
  }

  async #moveOn(milliseconds: number): Promise<void> {
    if (this.#options.advance !== undefined) await this.#options.advance();
    else this.#surroundings.now += milliseconds;
  }

  async #latest(start: Offset, limit: ReadLimit): Promise<Offset> {
    const reader = await this.#streamReader();
    const end = checkOffset(await reader.latestOffset(start, limit), "latestOffset()");
    const order = reader.compareOffsets?.(end, start) ?? compareByValue(end, start);
    if (order !== undefined && order < 0) throw wentBack("latestOffset", start, end);
    return throughJson(end);
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
      planned = checkedPartitions(await (await this.#streamReader()).partitions(start, end), false);
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

  #compareReplay(what: string, rows: RowTexts, again: RowTexts, place: string): boolean {
    const lost = surplus(rows, again);
    const added = surplus(again, rows);
    if (lost.length === 0 && added.length === 0) return true;
    const at = place === "" ? "" : ` (${place})`;
    this.#findings.add({
      code: "READ_NOT_REPEATABLE",
      message: `${what}${at}, a second time, gave ${added.length === 0 ? "no others" : some(added)} and lacked ${lost.length === 0 ? "none" : some(lost)}`,
      hint: "A replay must write the same rows: let partition or offsets say all that is read (ranges, ids, versions), and nothing depend on the clock or on what the reader has done before.",
    });
    return false;
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

  /** `parts` are the rows of [a,b) and [b,c), `whole` those of [a,c). */
  #compareRanges(parts: RowTexts, whole: RowTexts, places: string): boolean {
    const twice = surplus(parts, whole);
    const lost = surplus(whole, parts);
    if (twice.length > 0)
      this.#findings.add({
        code: "RANGES_OVERLAP",
        message: `[a,b) and [b,c) together have ${some(twice)} more than [a,c), with ${places}`,
        hint: OVERLAP_HINT,
      });
    if (lost.length > 0)
      this.#findings.add({
        code: "RANGES_LOSE_ROWS",
        message: `[a,b) and [b,c) together lack ${some(lost)} that [a,c) has, with ${places}`,
        hint: "Rows at b are in neither: a range holds its start and not its end. Ask the source for >= start and < end.",
      });
    return twice.length + lost.length === 0;
  }

  /** A source may refuse an offset that it never gave, or make nonsense of it, such as half a line: that says nothing. */
  async #checkOnlyRange(
    start: Offset,
    end: Offset,
    whole: RowTexts,
    partsAt: (middle: Offset) => readonly (() => Promise<RowTexts>)[],
  ): Promise<void> {
    if (this.#options.singleRange === true) {
      this.#findings.skip("[a,b) + [b,c) against [a,c): the source has one range only, as singleRange says");
      return;
    }
    let isVerified = false;
    for (const middle of middlesOf(start, end, whole)) {
      const parts: string[] = [];
      try {
        for (const read of partsAt(middle)) parts.push(...(await read()));
      } catch {
        continue;
      }
      const known = new Set(whole);
      const lost = surplus(whole, parts);
      const twice = surplus(parts, whole);
      if (!parts.every((row) => known.has(row)) || (lost.length > 0 && twice.length > 0)) continue;
      isVerified = true;
      const places = `a = ${JSON.stringify(start)}, c = ${JSON.stringify(end)}, b = ${JSON.stringify(middle)}, which the kit made up (give advance where no batch can end there)`;
      if (!this.#compareRanges(parts, whole, places)) return;
    }
    if (isVerified) return;
    this.#findings.add({
      code: "RANGES_NOT_VERIFIED",
      message: `the source has one range only, from ${JSON.stringify(start)} to ${JSON.stringify(end)}: nothing tells whether the next begins where this one ends`,
      hint: "Give advance, which makes the source have more, or let latestOffset() honour a small read limit such as ReadMaxRows(1). A source that never has more: singleRange: true.",
    });
  }

  /** The rows of a range; whatever is wrong with it is thrown. */
  async #plainRows(start: Offset, end: Offset): Promise<RowTexts> {
    const reader = await this.#streamReader();
    const rows: string[] = [];
    for (const [partitionId, partition] of checkedPartitions(
      await reader.partitions(start, end),
      false,
    ).entries())
      rows.push(...(await this.#readPartition(partition, partitionId)));
    return rows;
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
    this.#forgetsTooMuch(lost, b, c);
  }

  #forgetsTooMuch(lost: RowTexts, b: Offset, c: Offset): void {
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

const OVERLAP_HINT =
  "Rows at b are in both: a range holds its start and not its end. Ask the source for >= start and < end.";

function placesOf(a: Offset, b: Offset, c: Offset): string {
  return `a = ${JSON.stringify(a)}, b = ${JSON.stringify(b)}, c = ${JSON.stringify(c)}`;
}

function notStable(message: string, hint: string): MillraceError {
  return new MillraceError("OFFSET_NOT_STABLE", message, { hint });
}

function wentBack(method: string, start: Offset, end: Offset): MillraceError {
  return new MillraceError(
    "OFFSET_WENT_BACK",
    `${method}(${JSON.stringify(start)}) gave ${JSON.stringify(end)}, which is before it`,
    {
      hint: "Give the start itself where nothing is new, never an offset before it: rows would be read twice.",
    },
  );
}

/** Partitions as a task gets them. Errors: those of planning. */
function checkedPartitions(given: unknown, isBatch: boolean): readonly unknown[] {
  const partitions = checkPartitionsArray(given, isBatch, {});
  checkPartitions(partitions, Number.POSITIVE_INFINITY);
  const overlap = guessOverlap(partitions);
  if (overlap !== undefined) throw overlap;
  return throughJson(partitions);
}
