import { appendFileSync } from "node:fs";
import { isMainThread, threadId } from "node:worker_threads";
import type { RecordBatch, Schema } from "apache-arrow";
import type { BatchContext, DataSourceRuntime, TaskContext } from "../../shared/contract/context.ts";
import { DataSource, type DataSourceClass } from "../../shared/contract/data-source.ts";
import { schemaToJson } from "../../shared/contract/ddl/json.ts";
import type { JsonValue } from "../../shared/contract/json.ts";
import type { Offset } from "../../shared/contract/offset.ts";
import { type ReadLimit, ReadMaxRows } from "../../shared/contract/read-limit.ts";
import {
  type Awaitable,
  DataSourceStreamReader,
  type NamedRow,
  type Row,
  SimpleDataSourceStreamReader,
  type SimpleRead,
  type SupportsTriggerAvailableNow,
} from "../../shared/contract/stream-reader.ts";
import {
  DataSourceStreamArrowWriter,
  DataSourceStreamWriter,
  type StreamWriter,
} from "../../shared/contract/stream-writer.ts";
import type { Args, TaskId } from "./trace.ts";

/**
 * The recorded readers and writers, ported from the oracle's sources.py: the same names, options, fault points and messages. They log
 * in the oracle's own form, one JSON line a call, to a file that threads and processes share.
 */

/** As Spark hands options over: all are text. `trace` is the file to log to. */
export type Options = { readonly trace: string; readonly [option: string]: string };

export function log(options: Options, call: string, args: Args, task?: TaskContext): void {
  const proc = isMainThread ? "driver" : `worker ${threadId}`;
  const entry = { call, args, proc, ...(task === undefined ? {} : { task: taskId(task) }) };
  // One call, so that lines of several threads do not mix.
  appendFileSync(options.trace, `${JSON.stringify(entry)}\n`);
}

function taskId(task: TaskContext): TaskId {
  return {
    partitionId: task.partitionId,
    attemptNumber: task.attemptNumber,
    batchIdProp: String(task.batchId),
  };
}

class Fault extends Error {}

interface FaultOption {
  readonly point: string;
  readonly attempts_below?: number;
  readonly sleep?: number;
  readonly kill_jvm?: boolean;
  readonly raise?: boolean;
  readonly [where: string]: JsonValue | undefined;
}

/** Does what the option `fault` says of this point. As the original it blocks: a process that is being killed must not go on. */
export function fault(options: Options, point: string, where: Args, task?: TaskContext): void {
  for (const option of JSON.parse(options["fault"] ?? "[]") as FaultOption[]) {
    if (option.point !== point) continue;
    if (Object.entries(where).some(([key, value]) => key in option && option[key] !== value)) continue;
    const { attempts_below: below, sleep, kill_jvm: kill, raise = true } = option;
    if (below !== undefined && task !== undefined && task.attemptNumber >= below) continue;
    if (sleep !== undefined) block(sleep);
    if (kill === true) {
      log(options, `!! kill -9 JVM from ${point}`, where, task);
      process.kill(process.pid, "SIGKILL");
      block(5);
    }
    if (raise) {
      log(options, `!! raise in ${point}`, where, task);
      throw new Fault(`injected fault at ${point} ${JSON.stringify(where)}`);
    }
  }
}

function block(seconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, seconds * 1000);
}

type Part = { idx: number; start: number; end: number };

const repr = ({ idx, start, end }: Part) => `Part(idx=${idx},start=${start},end=${end})`;
const n = (offset: Offset) => Number(offset["n"]);

/** As Spark's `simpleString`. */
export function ddlOf(schema: Schema): string {
  const fields = schemaToJson(schema).fields.map(({ name, type }) => `${name}:${type}`);
  return `struct<${fields.join(",")}>`;
}

class StreamReader extends DataSourceStreamReader<Offset, Part> {
  readonly options: Options;
  readonly step: number;
  readonly count: number;
  readonly max: number;
  #task: TaskContext | undefined;

  constructor(options: Options) {
    super();
    this.options = options;
    this.step = Number(options["step"] ?? 8);
    this.count = Number(options["partitions"] ?? 4);
    this.max = Number(options["max"] ?? 24);
  }

  /** In the task that it reads for, if any. */
  log(call: string, args: Args): void {
    log(this.options, call, args, this.#task);
  }

  override initialOffset(): Offset {
    fault(this.options, "initialOffset", {});
    this.log("reader.initialOffset", { returns: { n: 0 } });
    return { n: 0 };
  }

  override latestOffset(start: Offset, limit: ReadLimit): Offset {
    fault(this.options, "latestOffset", { start: n(start) });
    const end = { n: Math.min(n(start) + this.step, this.max) };
    this.log("reader.latestOffset", { start, limit: String(limit), returns: end });
    return end;
  }

  override partitions(start: Offset, end: Offset): Part[] {
    fault(this.options, "partitions", { start: n(start) });
    const [from, to] = [n(start), n(end)];
    const width = Math.floor((to - from) / this.count) || 1;
    const parts: Part[] = [];
    for (let i = 0; i < this.count && to > from; i++) {
      const isLast = i === this.count - 1;
      parts.push({ idx: i, start: from + i * width, end: isLast ? to : from + (i + 1) * width });
    }
    this.log("reader.partitions", { start, end, returns: parts.map(repr) });
    return parts;
  }

  override read(part: Part, task: TaskContext): Iterable<Row> {
    this.#task = task;
    return this.rows(part, task);
  }

  *rows(part: Part, task: TaskContext): Iterable<Row> {
    this.log("reader.read:enter", { partition: repr(part) });
    for (let i = part.start; i < part.end; i++) {
      if (i === part.start + 1) fault(this.options, "read", { idx: part.idx, start: part.start }, task);
      yield [BigInt(i), part.idx];
    }
    this.log("reader.read:exit", { partition: repr(part) });
  }

  override commit(end: Offset): void {
    this.log("reader.commit", { end });
    fault(this.options, "reader.commit", { end: n(end) });
  }

  override stop(): void {
    this.log("reader.stop", {});
  }
}

type Msg = { partition: number; attempt: number; rows: number; lo: number | null; hi: number | null };
type Message = Msg | { rows: number };

/** The name that Spark has for the class of an item. */
export function kindOfBatch(batch: RecordBatch): string {
  return batch.constructor.name.replace(/^_/, "");
}

/** A plain object is what Spark's Row is here. */
export function kindOfRow(row: NamedRow): string {
  return Object.getPrototypeOf(row) === Object.prototype ? "Row" : typeof row;
}

/** What both forms of the writer do. */
class StreamW {
  readonly #options: Options;

  constructor(options: Options, schema: Schema, overwrite: boolean) {
    this.#options = options;
    log(options, "writer.__init__", { schema: ddlOf(schema), overwrite });
  }

  /** `idsOf` gives the ids in one of the items, `kindOf` the name that Spark has for its class. */
  async write<Item>(
    source: AsyncIterable<Item>,
    task: TaskContext,
    kindOf: (item: Item) => string,
    idsOf: (item: Item) => Iterable<unknown>,
  ): Promise<Message | undefined> {
    const options = this.#options;
    const where = { partition: task.partitionId, batch: task.batchId };
    log(options, "writer.write:enter", {}, task);
    fault(options, "write:enter", where, task);
    const named = { partition: task.partitionId, attempt: task.attemptNumber };
    if (options["no_consume"] === "true") {
      log(options, "writer.write:return-without-consuming", {}, task);
      return { ...named, rows: -1, lo: -1, hi: -1 };
    }
    const kinds = new Set<string>();
    const ids: number[] = [];
    let items = 0;
    for await (const item of source) {
      items++;
      kinds.add(kindOf(item));
      for (const id of idsOf(item)) ids.push(Number(id));
    }
    fault(options, "write", where, task);
    const rows = ids.length;
    const range = rows === 0 ? { lo: null, hi: null } : { lo: Math.min(...ids), hi: Math.max(...ids) };
    log(options, "writer.write:exit", { items, kinds: [...kinds].sort(), rows, ...range }, task);
    const ret = options["ret"] ?? "msg";
    if (ret === "none") return undefined;
    return ret === "msg" ? { ...named, rows, ...range } : { rows };
  }

  commit(messages: readonly (Message | null)[], batchId: number): void {
    log(this.#options, "writer.commit", { messages, batchId });
    fault(this.#options, "commit", { batch: batchId });
    log(this.#options, "writer.commit:return", { batchId });
  }

  abort(messages: readonly (Message | null)[], batchId: number): void {
    log(this.#options, "writer.abort", { messages, batchId });
    fault(this.#options, "abort", { batch: batchId });
  }
}

class ArrowW extends DataSourceStreamArrowWriter<Message> {
  readonly #writer: StreamW;

  constructor(writer: StreamW) {
    super();
    this.#writer = writer;
  }

  override async write(batches: AsyncIterable<RecordBatch>, task: TaskContext): Promise<Message | undefined> {
    return await this.#writer.write(batches, task, kindOfBatch, (batch) => batch.getChildAt(0) ?? []);
  }

  override commit(messages: readonly (Message | null)[], batchId: number, _batch: BatchContext): void {
    this.#writer.commit(messages, batchId);
  }

  override abort(messages: readonly (Message | null)[], batchId: number, _batch: BatchContext): void {
    this.#writer.abort(messages, batchId);
  }
}

class RowW extends DataSourceStreamWriter<Message> {
  readonly #writer: StreamW;

  constructor(writer: StreamW) {
    super();
    this.#writer = writer;
  }

  override async write(rows: AsyncIterable<NamedRow>, task: TaskContext): Promise<Message | undefined> {
    return await this.#writer.write(rows, task, kindOfRow, (row) => [row["id"]]);
  }

  override commit(messages: readonly (Message | null)[], batchId: number, _batch: BatchContext): void {
    this.#writer.commit(messages, batchId);
  }

  override abort(messages: readonly (Message | null)[], batchId: number, _batch: BatchContext): void {
    this.#writer.abort(messages, batchId);
  }
}

/** The source and the sink of all scenarios. */
export class Src extends DataSource<Options> {
  constructor(options: Options, runtime: DataSourceRuntime) {
    super(options, runtime);
    const shown = Object.entries(options).filter(([name]) => name !== "trace" && name !== "fault");
    log(options, "DataSource.__init__", { cls: this.constructor.name, options: Object.fromEntries(shown) });
  }

  override schema(): string {
    log(this.options, "DataSource.schema", {});
    return "id bigint, part int";
  }

  override streamReader(schema: Schema): DataSourceStreamReader<object, unknown> {
    log(this.options, "DataSource.streamReader", { schema: ddlOf(schema) });
    return new StreamReader(this.options);
  }

  override streamWriter(schema: Schema, overwrite: boolean): StreamWriter<unknown> {
    const writer = new StreamW(this.options, schema, overwrite);
    return this.options["writer"] === "row" ? new RowW(writer) : new ArrowW(writer);
  }
}

class EmptyPartsReader extends StreamReader {
  override partitions(start: Offset, end: Offset): Part[] {
    this.log("reader.partitions", { start, end, returns: [] });
    return [];
  }
}

class EmptyParts extends Src {
  override streamReader(): EmptyPartsReader {
    return new EmptyPartsReader(this.options);
  }
}

class EmptyRowsReader extends StreamReader {
  override rows(part: Part): Iterable<Row> {
    this.log("reader.read:enter", { partition: repr(part) });
    return [];
  }
}

class EmptyRows extends Src {
  override streamReader(): EmptyRowsReader {
    return new EmptyRowsReader(this.options);
  }
}

/** Its offset goes from 8 back to 4. */
class BackReader extends StreamReader {
  override latestOffset(start: Offset): Offset {
    const end = new Map([
      [0, { n: 8 }],
      [8, { n: 4 }],
    ]).get(n(start));
    this.log("reader.latestOffset", { start, returns: end ?? start });
    return end ?? start;
  }

  override partitions(start: Offset, end: Offset): Part[] {
    this.log("reader.partitions", { start, end });
    return [{ idx: 0, start: Math.min(n(start), n(end)), end: Math.max(n(start), n(end)) }];
  }
}

class Back extends Src {
  override streamReader(): BackReader {
    return new BackReader(this.options);
  }
}

/** Limits itself, and is told when the trigger is `availableNow`. */
class ANReader extends StreamReader implements SupportsTriggerAvailableNow {
  prepareForTriggerAvailableNow(): Awaitable<void> {
    this.log("reader.prepareForTriggerAvailableNow", {});
  }
}

class AN extends Src {
  override streamReader(): ANReader {
    return new ANReader(this.options);
  }
}

/** Has the signature of Spark 4.0, and a position of its own. */
class OldSigReader extends StreamReader {
  #current = 0;

  override latestOffset(): Offset {
    this.#current = Math.min(this.#current + this.step, this.max);
    this.log("reader.latestOffset", { no_args: true, returns: { n: this.#current } });
    return { n: this.#current };
  }
}

class OldSig extends Src {
  override streamReader(): OldSigReader {
    return new OldSigReader(this.options);
  }
}

/** Heeds the limit. */
class AdmReader extends StreamReader {
  target: number | undefined;

  override getDefaultReadLimit(): ReadLimit {
    this.log("reader.getDefaultReadLimit", { returns: "ReadMaxRows(8)" });
    return new ReadMaxRows(8);
  }

  override latestOffset(start: Offset, limit: ReadLimit): Offset {
    const high = this.target ?? this.max;
    const end = { n: limit.kind === "ReadMaxRows" ? Math.min(n(start) + limit.maxRows, high) : high };
    this.log("reader.latestOffset", { start, limit: String(limit), returns: end });
    return end;
  }

  override reportLatestOffset(): Offset {
    this.log("reader.reportLatestOffset", { returns: { n: this.max } });
    return { n: this.max };
  }
}

class Adm extends Src {
  override streamReader(): AdmReader {
    return new AdmReader(this.options);
  }
}

class AdmANReader extends AdmReader implements SupportsTriggerAvailableNow {
  prepareForTriggerAvailableNow(): Awaitable<void> {
    this.target = this.max;
    this.log("reader.prepareForTriggerAvailableNow", { target: this.target });
  }
}

class AdmAN extends Src {
  override streamReader(): AdmANReader {
    return new AdmANReader(this.options);
  }
}

class SimpleR extends SimpleDataSourceStreamReader<Offset> {
  readonly #options: Options;
  readonly #max: number;

  constructor(options: Options) {
    super();
    this.#options = options;
    this.#max = Number(options["max"] ?? 12);
  }

  override initialOffset(): Offset {
    log(this.#options, "simple.initialOffset", { returns: { n: 0 } });
    return { n: 0 };
  }

  override read(start: Offset): SimpleRead {
    const end = { n: Math.min(n(start) + 4, this.#max) };
    if (this.#options["noadvance"] !== undefined && n(start) === 4) {
      log(this.#options, "simple.read", { start, returns: "rows but end == start" });
      return { rows: [[99n, 0]], offset: start };
    }
    const rows = this.#options["gen"] === undefined ? { rows: end.n - n(start) } : { generator: true };
    log(this.#options, "simple.read", { start, returns: { ...rows, end } });
    return { rows: numbers(n(start), end.n), offset: end };
  }

  override readBetweenOffsets(start: Offset, end: Offset): Iterable<Row> {
    log(this.#options, "simple.readBetweenOffsets", { start, end });
    return numbers(n(start), n(end));
  }

  override commit(end: Offset): void {
    log(this.#options, "simple.commit", { end });
  }
}

function* numbers(from: number, to: number): Generator<Row> {
  for (let i = from; i < to; i++) yield [BigInt(i), 0];
}

class Simple extends Src {
  override streamReader(schema: Schema): DataSourceStreamReader<object, unknown> {
    log(this.options, "DataSource.streamReader -> NOT_IMPLEMENTED (as the base class)", {});
    return DataSource.prototype.streamReader.call(this, schema);
  }

  override simpleStreamReader(schema: Schema): SimpleR {
    log(this.options, "DataSource.simpleStreamReader", { schema: ddlOf(schema) });
    return new SimpleR(this.options);
  }
}

/** Gives one offset with its keys in two orders. Not in sources.py: ported from what its recording shows. */
class BadReader extends StreamReader {
  override latestOffset(start: Offset): Offset {
    const end: Offset = "n" in start ? { a: 1, b: 2 } : { b: 2, a: 1 };
    const text = Object.entries(end).map(([key, value]) => `"${key}": ${JSON.stringify(value)}`);
    this.log("reader.latestOffset", { start, returns: `{${text.join(", ")}}` });
    return end;
  }

  override partitions(start: Offset, end: Offset): Part[] {
    this.log("reader.partitions", { start, end });
    return [{ idx: 0, start: 1, end: 2 }];
  }

  override *rows(part: Part): Iterable<Row> {
    yield [BigInt(part.start), part.idx];
  }

  /** In a task it logs nothing. */
  override stop(): void {
    if (isMainThread) super.stop();
  }
}

class Bad extends Src {
  override streamReader(): BadReader {
    return new BadReader(this.options);
  }
}

/** The recorded classes whose kind is built, by the name that the trace has for them. */
export const SOURCES: ReadonlyMap<string, DataSourceClass<Options>> = new Map(
  [Src, EmptyParts, EmptyRows, Back, AN, Bad, OldSig, Adm, AdmAN, Simple].map((source) => [
    source.name,
    source,
  ]),
);

/** The recorded classes whose kind is not built yet, and what they need. */
export const NOT_BUILT: ReadonlyMap<string, string> = new Map([["TsSrc", "stateful queries"]]);

/** Options of the class `Bad` that select the behaviour that is ported; its others are not in sources.py. */
export function isKnownBad(ropts: Args): boolean {
  return ropts["badoff"] === "key_order" && ropts["bad"] === "arrow_ok";
}
