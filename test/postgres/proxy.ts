import { connect, createServer, type Server, type Socket } from "node:net";
import { onTestFinished } from "vitest";

/** What can happen to a statement. */
export const BREAKS = [
  /** The connection ends before the server gets the statement. */
  "drop before",
  /** The connection ends after the server got the statement. */
  "drop after",
  /** Both ends are reset before the server gets the statement. */
  "reset before",
  /** The server never gets the statement, and nobody is told. */
  "swallow statement",
  /** The server gets the statement, and its answers never arrive. */
  "swallow answer",
  /** The server gets the statement long after the client has given up. */
  "delay",
  /** As `swallow answer`, and new connections are refused for a moment. */
  "swallow answer and refuse",
] as const;
export type Break = (typeof BREAKS)[number];

export interface ProxyOptions {
  /** Number of the statement to break, from 0. Default: none. */
  readonly at?: number;
  /** Breaks the first message for which this returns true. It is called for each message. */
  readonly isBroken?: (message: string) => boolean;
  readonly kind?: Break;
  /** Milliseconds by which `delay` is late, and for which connections are refused. */
  readonly delay?: number;
}

/**
 * A proxy in front of a PostgreSQL server. It knows the messages of the protocol, so it can count
 * the statements of all its connections and break one of them.
 */
export class PostgresProxy {
  port = 0;
  /** The types of the messages that ended a statement: `Q` (simple), `S` (extended). */
  readonly statements: string[] = [];
  /** True if the statement to break was reached. */
  broke = false;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #isRefusing = false;

  static async start(port: number, options: ProxyOptions = {}): Promise<PostgresProxy> {
    const proxy = new PostgresProxy(port, options);
    onTestFinished(() => proxy.stop());
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    proxy.port = (proxy.#server.address() as { port: number }).port;
    return proxy;
  }

  /** Starts a server that accepts connections and never answers. */
  static async startSilent(): Promise<PostgresProxy> {
    return await PostgresProxy.start(0);
  }

  private constructor(port: number, options: ProxyOptions) {
    this.#server = createServer((client) => {
      if (port !== 0) this.#join(client, port, options);
      else this.#sockets.add(client.on("error", () => undefined));
    });
  }

  #join(client: Socket, port: number, { at, isBroken, kind, delay = 1000 }: ProxyOptions): void {
    if (this.#isRefusing) {
      client.destroy();
      return;
    }
    const upstream = connect(port, "127.0.0.1");
    let [isDeaf, isMute] = [false, false];
    const later = (body: () => void) => this.#timers.add(setTimeout(body, delay));
    const broken: Record<Break, (data: Buffer) => void> = {
      "drop before": () => {
        client.destroy();
        upstream.destroy();
      },
      "drop after": (data) => upstream.end(data, () => client.destroy()),
      "reset before": () => {
        client.resetAndDestroy();
        upstream.resetAndDestroy();
      },
      "swallow statement": () => {
        isDeaf = true;
      },
      "swallow answer": (data) => {
        isMute = true;
        upstream.write(data);
      },
      delay: (data) => {
        isDeaf = true;
        isMute = true;
        later(() => upstream.write(data));
      },
      "swallow answer and refuse": (data) => {
        isMute = true;
        this.#isRefusing = true;
        later(() => {
          this.#isRefusing = false;
        });
        upstream.write(data);
      },
    };
    const messages = new Messages();
    client.on("data", (data) => {
      if (isDeaf) return;
      for (const message of messages.read(data)) {
        const isIt =
          (message.endsStatement && this.statements.length === at) ||
          (!this.broke && isBroken?.(message.bytes.toString()) === true);
        if (message.endsStatement) this.statements.push(message.type);
        if (isIt && kind !== undefined) {
          this.broke = true;
          broken[kind](message.bytes);
          return;
        }
        upstream.write(message.bytes);
      }
    });
    upstream.on("data", (data) => {
      if (!isMute) client.write(data);
    });
    this.#tie(client, upstream, () => isDeaf || isMute);
  }

  /** Ends each socket with the other one, unless the proxy is to keep the server's side open. */
  #tie(client: Socket, upstream: Socket, isHeld: () => boolean): void {
    for (const socket of [client, upstream]) {
      this.#sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        this.#sockets.delete(socket);
        if (!isHeld()) (socket === client ? upstream : client).end();
      });
    }
  }

  stop(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}

interface Message {
  readonly type: string;
  readonly bytes: Buffer;
  /** True for the last message of a statement, to which the server answers. */
  readonly endsStatement: boolean;
}

/** Splits what a client sends into messages. The first one, of the start, has no type. */
class Messages {
  #rest = Buffer.alloc(0);
  #hasStarted = false;

  *read(data: Buffer): Generator<Message> {
    this.#rest = Buffer.concat([this.#rest, data]);
    for (;;) {
      const prefix = this.#hasStarted ? 1 : 0;
      if (this.#rest.length < prefix + 4) return;
      const length = prefix + this.#rest.readInt32BE(prefix);
      if (this.#rest.length < length) return;
      const bytes = this.#rest.subarray(0, length);
      this.#rest = this.#rest.subarray(length);
      const type = this.#hasStarted ? String.fromCharCode(bytes[0] ?? 0) : "";
      this.#hasStarted = true;
      yield { type, bytes, endsStatement: type === "Q" || type === "S" };
    }
  }
}
