import type { ServerResponse } from "node:http";
import { pick } from "../../faults/chance.ts";
import { type Api, type Asked, type Reply, serve } from "../../support/api-server.ts";
import type { Item, ListApi, Style } from "./styles.ts";

/** A fault of one answer. All of them pass, or else the request is the last one of its run. */
const FAULTS = [
  "500",
  "502",
  "503 with Retry-After",
  "429",
  "520",
  "reset",
  "cut body",
  "cut chunked body",
  "slow body",
  "no answer",
  "page for people",
] as const;
export type Fault = (typeof FAULTS)[number];

/** How an API behaves in one run. */
export interface Behaviour {
  readonly items: readonly Item[];
  readonly cap: number;
  /** Chance that the API gives fewer rows than it could. */
  readonly shortPages: number;
  /** Chance of a fault at each request. */
  readonly faults: number;
  /** The request, counted from 1, from which on every answer is a 500. */
  readonly brokenFrom: number | undefined;
  readonly random: () => number;
}

export interface FaultyApi extends Api {
  /** The requests and their faults, in order, for the message of a failed case. */
  readonly log: string[];
}

/** Answers that take longer than this are given up by the options of the test. */
export const TIMEOUT_SECONDS = 0.25;

/** Serves a list in a style, with the faults of `behaviour`, which may be replaced between runs. */
export async function serveFaulty(style: Style, of: { behaviour: Behaviour }): Promise<FaultyApi> {
  const log: string[] = [];
  const api = await serve((asked, _count, response) => {
    const { behaviour } = of;
    const { random, faults, brokenFrom, items, cap, shortPages } = behaviour;
    const isBroken = brokenFrom !== undefined && log.length + 1 >= brokenFrom;
    const fault = isBroken ? "500" : random() < faults ? pick(FAULTS, random) : undefined;
    const shorterBy = random() < shortPages ? Math.floor(random() * cap) : 0;
    log.push(`${asked.url.pathname}${asked.url.search} ${asked.body} ${fault ?? ""} -${shorterBy}`);
    const list: ListApi = { items, cap, shorterBy };
    return fault === undefined
      ? style.answer(list, asked)
      : spoil(fault, style.answer(list, asked), response);
  });
  return { ...api, log };
}

/** Sends the answer of a fault, or returns it. */
function spoil(fault: Fault, reply: Reply, response: ServerResponse): Reply | undefined {
  const body = Buffer.from(JSON.stringify(reply.json ?? []));
  const half = body.subarray(0, Math.floor(body.length / 2));
  const head = { "content-type": "application/json", ...reply.headers };
  switch (fault) {
    case "500":
    case "502":
    case "520":
    case "429":
      return { status: Number(fault), text: "<html>busy</html>" };
    case "503 with Retry-After":
      return { status: 503, headers: { "retry-after": "2" }, json: { items: [], data: [], next: null } };
    case "reset":
      return void response.destroy();
    case "cut body":
      response.writeHead(200, { ...head, "content-length": String(body.length) });
      return void response.write(half, () => response.destroy());
    case "cut chunked body":
      response.writeHead(200, head);
      return void response.write(half, () => response.destroy());
    case "slow body":
      response.writeHead(200, head);
      response.write(half);
      return void setTimeout(() => response.end(body.subarray(half.length)), 20);
    case "no answer":
      response.writeHead(200, head);
      return void response.write(half);
    case "page for people":
      return { status: 200, headers: { "content-type": "text/html" }, text: "<html>We will be back</html>" };
  }
}

export type { Asked };
