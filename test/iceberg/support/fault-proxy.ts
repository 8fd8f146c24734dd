import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { setTimeout } from "node:timers/promises";

/** What can happen to a request. */
export const FAULTS = [
  /** The connection ends before the server gets the request. */
  "request lost",
  /** The server answers, and the connection ends before the client gets the answer. */
  "answer lost",
  /** The client gets status 500 and the server never gets the request. */
  "500 and not landed",
  /** The server applies the request, and the client gets status 500. */
  "500 and landed",
  /**
   * The client gets status 504. The server gets the request after some time, or when the test lets
   * it.
   */
  "late landing",
  /** The server gets the request twice, and the client gets the first answer. */
  "twice, first answer",
  /** The server gets the request twice, and the client gets the second answer. */
  "twice, second answer",
  /** The connection is reset before the server gets the request. */
  "reset before",
  /** The connection is reset after the server answered. */
  "reset after",
] as const;
export type Fault = (typeof FAULTS)[number];

/** A request as a test sees it when it chooses the request's fault. */
export interface ProxiedRequest {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly body: string;
}

/** Chooses the fault of a request. While it does, another client may use the server. */
export type ChooseFault = (request: ProxiedRequest) => Fault | undefined | Promise<Fault | undefined>;

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

/** A proxy in front of an HTTP server. A test chooses what happens to each request. */
export class FaultProxy {
  port = 0;
  /** All requests so far, with the faults that they had. */
  readonly seen: { readonly method: string; readonly url: string; readonly fault: Fault | undefined }[] = [];
  readonly #server: Server;
  readonly #upstream: number;
  readonly #choose: ChooseFault;
  readonly #lateBy: number;
  readonly #landing = Promise.withResolvers<void>();
  readonly #late = new Set<Promise<unknown>>();

  /** `lateBy` is the number of milliseconds by which a request lands late. */
  static async start(upstream: number, choose: ChooseFault, lateBy: number = 200): Promise<FaultProxy> {
    const proxy = new FaultProxy(upstream, choose, lateBy);
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    proxy.port = (proxy.#server.address() as AddressInfo).port;
    return proxy;
  }

  private constructor(upstream: number, choose: ChooseFault, lateBy: number) {
    this.#upstream = upstream;
    this.#choose = choose;
    this.#lateBy = lateBy;
    this.#server = createServer((incoming, response) => {
      this.#handle(incoming, response).catch(() => response.destroy());
    });
  }

  async #handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await buffer(incoming);
    const { method = "GET", url = "/" } = incoming;
    const fault = await this.#choose({ method, url, body: body.toString() });
    this.seen.push({ method, url, fault });
    const forward = () => this.#forward(incoming, body);
    await this.#answer(fault, response, forward);
  }

  async #answer(
    fault: Fault | undefined,
    response: ServerResponse,
    forward: () => Promise<Answer>,
  ): Promise<void> {
    switch (fault) {
      case undefined:
        send(response, await forward());
        return;
      case "request lost":
        response.destroy();
        return;
      case "answer lost":
        await forward();
        response.destroy();
        return;
      case "500 and not landed":
        send(response, failure(500));
        return;
      case "500 and landed":
        await forward();
        send(response, failure(500));
        return;
      case "late landing":
        this.#late.add(
          Promise.race([setTimeout(this.#lateBy, undefined, { ref: false }), this.#landing.promise]).then(
            forward,
          ),
        );
        send(response, failure(504));
        return;
      case "twice, first answer": {
        const first = await forward();
        await forward();
        send(response, first);
        return;
      }
      case "twice, second answer":
        await forward();
        send(response, await forward());
        return;
      case "reset before":
        response.socket?.resetAndDestroy();
        return;
      case "reset after":
        await forward();
        response.socket?.resetAndDestroy();
        return;
    }
  }

  async #forward(incoming: IncomingMessage, body: Buffer): Promise<Answer> {
    const { method, url, headers } = incoming;
    const { "transfer-encoding": _, ...sent } = headers;
    return await new Promise<Answer>((resolve, reject) => {
      const outgoing = request(
        {
          host: "127.0.0.1",
          port: this.#upstream,
          method,
          path: url,
          headers: { ...sent, "content-length": String(body.length) },
        },
        (answer) => {
          buffer(answer).then(
            (bytes) => resolve({ status: answer.statusCode ?? 502, headers: answer.headers, body: bytes }),
            reject,
          );
        },
      );
      outgoing.once("error", reject).end(body);
    });
  }

  /** Lets late requests reach the server now, and waits for them. */
  async landLateRequests(): Promise<void> {
    this.#landing.resolve();
    await this.lateRequests();
  }

  /** Waits until all late requests have reached the server. */
  async lateRequests(): Promise<void> {
    await Promise.all(this.#late);
  }

  async stop(): Promise<void> {
    await Promise.allSettled(this.#late);
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function send(response: ServerResponse, { status, headers, body }: Answer): void {
  const { "transfer-encoding": _, connection: __, ...kept } = headers;
  response.writeHead(status, { ...kept, "content-length": String(body.length) });
  response.end(body);
}

/** The answer of a gateway that is not the catalog, so its body is not JSON. */
function failure(status: number): Answer {
  return { status, headers: { "content-type": "text/html" }, body: Buffer.from("<h1>failed</h1>") };
}
