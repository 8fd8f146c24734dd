import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { setTimeout } from "node:timers/promises";

interface Feature {
  readonly id: string;
  readonly properties: { readonly time: number; readonly mag: number | null };
}

export interface FeedOptions {
  /** Default: any free port. */
  readonly port?: number;
  /** Milliseconds before each response. */
  readonly latency?: number;
  /**
   * Returns an error status to send instead of rows, or `undefined`. `count` is the number of the
   * request, from 1.
   */
  fault?(
    query: URLSearchParams,
    count: number,
  ): { readonly status: number; readonly retryAfter?: string } | undefined;
}

export interface Feed {
  /** The URL of the list, on 127.0.0.1. */
  readonly url: string;
  /** Number of requests so far. */
  readonly requests: number;
  close(): Promise<void>;
}

/** Reads the 1,707 earthquakes that the USGS reported in a week of 2018, ordered by time. */
function readFeatures(): readonly Feature[] {
  // The package exports only its code, so the data file is found beside it.
  const code = createRequire(import.meta.url).resolve("vega-datasets");
  const path = join(dirname(code), "../data/earthquakes.json");
  const { features } = JSON.parse(readFileSync(path, "utf8")) as { features: Feature[] };
  return features.sort((a, b) => a.properties.time - b.properties.time);
}

/**
 * Serves the earthquakes like the USGS event service:
 * `GET /query?starttime=&endtime=&minmagnitude=&offset=&limit=`. Both ends of the time range are
 * inclusive, `offset` starts at 1, and a response has at most 20,000 rows.
 */
export async function startFeed(options: FeedOptions = {}): Promise<Feed> {
  const features = readFeatures();
  let requests = 0;
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const count = ++requests;
    const { pathname, searchParams: query } = new URL(request.url ?? "/", "http://127.0.0.1");
    if (options.latency !== undefined) await setTimeout(options.latency);
    const fault = options.fault?.(query, count);
    if (fault !== undefined || pathname !== "/query") {
      const headers = fault?.retryAfter === undefined ? {} : { "retry-after": fault.retryAfter };
      response.writeHead(fault?.status ?? 404, headers).end();
      return;
    }
    const start = Date.parse(query.get("starttime") ?? "1970-01-01T00:00:00Z");
    const end = Date.parse(query.get("endtime") ?? "9999-12-31T00:00:00Z");
    const offset = Number(query.get("offset") ?? 1);
    const limit = Math.min(20_000, Number(query.get("limit") ?? 20_000));
    const minMagnitude = Number(query.get("minmagnitude") ?? Number.NEGATIVE_INFINITY);
    const found = features.filter(
      ({ properties: { time, mag } }) =>
        time >= start && time <= end && (mag ?? Number.NEGATIVE_INFINITY) >= minMagnitude,
    );
    const page = found.slice(offset - 1, offset - 1 + limit);
    response.writeHead(200, { "content-type": "application/json" });
    response.end(
      JSON.stringify({ type: "FeatureCollection", metadata: { count: page.length }, features: page }),
    );
  };
  const server: Server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/query`,
    get requests() {
      return requests;
    },
    close() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
