import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { onTestFinished } from "vitest";
import type { Runtime } from "../../shared/contract/context.ts";
import { MillraceError } from "../../shared/contract/errors.ts";

export interface Asked {
  readonly method: string;
  readonly url: URL;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** The answer of a server. `json` is sent as JSON, and `text` is sent without a change. */
export interface Reply {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly json?: unknown;
  readonly text?: string;
}

export type Respond = (asked: Asked, count: number, response: ServerResponse) => Reply | undefined;

export interface Api {
  readonly url: string;
  readonly asked: readonly Asked[];
}

/** Starts a server. If `respond` returns `undefined`, it handles the response itself. */
export async function serve(respond: Respond): Promise<Api> {
  const asked: Asked[] = [];
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(`http://${request.headers.host}${request.url ?? "/"}`);
    const { method = "GET", headers } = request;
    const one = { method, url, headers, body: await text(request) };
    asked.push(one);
    const reply = respond(one, asked.length, response);
    if (reply === undefined) return;
    response.writeHead(reply.status ?? 200, { "content-type": "application/json", ...reply.headers });
    response.end(reply.text ?? JSON.stringify(reply.json ?? []));
  };
  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/items`, asked };
}

export type JsonRow = Readonly<Record<string, unknown>>;

/**
 * The fault of a request: a reply without processing, a connection that is cut before or after
 * processing, or processing without a reply.
 */
export type Fault = Reply | "cut before" | "cut after" | "hang after" | undefined;

export interface RowsApi extends Api {
  /** Accepted rows, in order. */
  readonly rows: JsonRow[];
  /** Requests whose idempotency key was used before. */
  readonly repeated: Asked[];
}

/**
 * Starts an API that accepts arrays of rows. It respects `Idempotency-Key`, and answers 422 if a
 * key comes again with another body. It remembers only requests that it has processed.
 */
export async function serveRows(
  fault: (asked: Asked, count: number) => Fault = () => undefined,
): Promise<RowsApi> {
  const rows: JsonRow[] = [];
  const repeated: Asked[] = [];
  const seen = new Map<string, string>();
  const api = await serve((asked, count, response) => {
    const what = fault(asked, count);
    if (typeof what === "object") return what;
    if (what === "cut before") return void response.destroy();
    const key = String(asked.headers["idempotency-key"]);
    const before = seen.get(key);
    if (before === undefined) {
      seen.set(key, asked.body);
      rows.push(...(JSON.parse(asked.body) as JsonRow[]));
    } else if (before === asked.body) {
      repeated.push(asked);
    } else {
      return { status: 422 };
    }
    if (what === "cut after") return void response.destroy();
    return what === "hang after" ? undefined : { status: 201 };
  });
  return { ...api, rows, repeated };
}

export interface FakeRuntime extends Runtime {
  time: number;
  readonly sleeps: number[];
}

/**
 * Returns a runtime whose wall clock stands still and which records its sleeps. Its monotonic clock
 * moves by each sleep. Waits have no jitter by default: `chance` is the fraction of the longest
 * wait that is used.
 */
export function runtimeAt(time: number | string, env: Record<string, string> = {}, chance = 1): FakeRuntime {
  const sleeps: number[] = [];
  return {
    time: new Date(time).getTime(),
    sleeps,
    now() {
      return this.time;
    },
    monotonic() {
      return this.time + sleeps.reduce((sum, each) => sum + each, 0);
    },
    random: () => chance,
    newId: () => "id",
    sleep: async (milliseconds) => void sleeps.push(milliseconds),
    env,
  };
}

export async function failure(body: () => unknown): Promise<MillraceError> {
  const thrown: unknown = await (async () => body())().then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!MillraceError.is(thrown)) throw new Error("no MillraceError", { cause: thrown });
  return thrown;
}
