import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { text } from "node:stream/consumers";

/**
 * Address of a server in the test's process. The functions of pipelines/numbers.ts ask it at each
 * call of the contract. A test can decide what happens at a call, wait for a call, or hold it. The
 * address is fixed, because functions are deployed once for all test files.
 */
export const CONTROL_URL = "http://127.0.0.1:4611/";

/** One call of the contract, as the function saw it. */
export interface Call {
  readonly pipeline: string;
  /** The edition of the function that makes the call. */
  readonly edition: string;
  readonly call:
    | "available"
    | "latestOffset"
    | "partitions"
    | "read"
    | "read all"
    | "build"
    | "factory"
    | "staged"
    | "before commit"
    | "after commit"
    | "abort"
    | "commit offset";
  /** The current incarnation of the pipeline, if the call knows it. */
  readonly incarnation?: string;
  readonly batchId?: number;
  readonly attempt?: number;
  readonly partition?: number;
  readonly attemptNumber?: number;
  readonly from?: number;
  readonly to?: number;
  /** The values in `runtime.env` of the secrets that the test app defines. */
  readonly secrets?: Readonly<Record<string, string>>;
}

/**
 * The action that the function takes at a call. `yield a bad row` and `hang` are only for `read`.
 */
export type Deed = "go on" | "fail" | "die" | "yield a bad row" | "hang";

/** The answer to a call: the size of the source, and the action that the function takes. */
export interface Answer {
  readonly deed: Deed;
  readonly n?: number;
  readonly slices?: readonly Slice[];
}

/** A partition: the whole numbers from `from` (inclusive) to `to` (exclusive). */
export type Slice = { readonly from: number; readonly to: number };

export class Control {
  readonly calls: Call[] = [];
  /** The source has the numbers from 0 (inclusive) to `available` (exclusive). */
  available = 0;
  /** Maximum numbers of rows in a batch and in a partition. */
  perBatch = 1_000_000;
  perPartition = 2;
  /** The number of tasks that the table of pipelines/exchange.ts requires. */
  tasks = 3;
  /** Returns the action that the function takes at a call. The function waits for the answer. */
  deed: (call: Call) => Deed | Promise<Deed> = () => "go on";
  readonly #server: Server;
  readonly #held = new Set<() => void>();
  /** Incarnations of earlier tests. Tasks of these tests may still make calls. */
  readonly #past = new Set<string>();

  private constructor() {
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const call = JSON.parse(await text(request)) as Call;
    const isPast = () => call.incarnation !== undefined && this.#past.has(call.incarnation);
    if (!isPast()) this.calls.push(call);
    const told = isPast() ? "fail" : await this.deed(call);
    const deed = isPast() ? "fail" : told;
    const body = JSON.stringify({ deed, ...this.#figures(call) } satisfies Answer);
    // The connection is closed, because a warm function would otherwise reuse it in the next test
    // file, when this server is gone.
    response.writeHead(200, { "content-type": "application/json", connection: "close" }).end(body);
  }

  static async start(): Promise<Control> {
    const control = new Control();
    await new Promise<void>((resolve, reject) => {
      control.#server.once("error", reject).listen(Number(new URL(CONTROL_URL).port), "127.0.0.1", resolve);
    });
    return control;
  }

  /** Resets the server for the next test. Held calls continue and then fail. */
  reset(): void {
    for (const { incarnation } of this.calls) if (incarnation !== undefined) this.#past.add(incarnation);
    for (const release of this.#held) release();
    this.#held.clear();
    this.calls.length = 0;
    this.available = 0;
    this.perBatch = 1_000_000;
    this.perPartition = 2;
    this.tasks = 3;
    this.deed = () => "go on";
  }

  /**
   * Returns a promise that a test can wait for to hold calls, and a function that releases the
   * calls. `reset` releases them too.
   */
  gate(): { readonly opened: Promise<void>; open(): void } {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#held.add(resolve);
    return { opened: promise, open: resolve };
  }

  of(call: Call["call"]): readonly Call[] {
    return this.calls.filter((each) => each.call === call);
  }

  /**
   * Returns the partitions that were read, sorted. A partition that was read twice is listed twice.
   */
  get read(): readonly number[] {
    return this.of("read")
      .map(({ partition = -1 }) => partition)
      .sort((a, b) => a - b);
  }

  async close(): Promise<void> {
    this.reset();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #figures({ call, from = 0, to = 0 }: Call): Omit<Answer, "deed"> {
    if (call === "available") return { n: this.available };
    if (call === "build") return { n: this.tasks };
    if (call === "latestOffset") return { n: Math.max(from, Math.min(from + this.perBatch, this.available)) };
    if (call !== "partitions") return {};
    const slices: Slice[] = [];
    for (let n = from; n < to; n += this.perPartition)
      slices.push({ from: n, to: Math.min(to, n + this.perPartition) });
    return { slices };
  }
}
