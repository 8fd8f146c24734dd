import type { Runtime } from "../../contract/context.ts";
import { type ErrorLocation, MillraceError } from "../../contract/errors.ts";
import { type RetryPolicy, retry } from "../../contract/retry.ts";
import { parseJson } from "../kit/json.ts";
import { isFromEnvironment } from "../kit/secrets.ts";
import { Credentials } from "./credentials.ts";
import type { RequestOptions } from "./options.ts";
import { parseNextLink, parseRetryAfter } from "./response-headers.ts";

/** A page as it came: its JSON, and where `Link: rel="next"` points. */
export interface Answer {
  readonly body: unknown;
  readonly nextLink: string | undefined;
  /** The URL that was asked, fit for messages. */
  readonly url: string;
}

/** Rows to send. */
export interface Delivery {
  readonly method: "POST" | "PUT" | "PATCH";
  readonly body: string;
  readonly contentType: string;
  /** Which rows of the partition these are, from 1: for messages. */
  readonly rows: { readonly first: number; readonly last: number };
  /** The header by which the API knows the request again; without it only PUT may be sent twice. */
  readonly idempotency?: { readonly header: string; readonly key: string };
  /** Statuses that count as success. */
  readonly alreadyDone: readonly number[];
}

/** What the requests of readers and writers have in common. */
interface HttpRequest {
  readonly method: "GET" | Delivery["method"];
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly delivery?: Delivery;
}

interface HttpResponse {
  readonly response: Response;
  readonly text: string;
  /** The URL that was asked, fit for messages. */
  readonly url: string;
}

/** A request that failed, and how long the API asks to wait. */
interface Failure {
  readonly error: MillraceError;
  readonly retryAfter?: number | undefined;
}

const FIRST_RETRY_MILLISECONDS = 250;
const RETRIED_STATUS: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);
/** With an idempotency key, 409 says that the first try of the request is still at work. */
const RETRIED_WITH_KEY: ReadonlySet<number> = new Set([...RETRIED_STATUS, 409]);
/** Statuses and errors of the connection that say that nothing was done. */
const REFUSED_STATUS: ReadonlySet<number> = new Set([425, 429]);
const NOT_SENT: ReadonlySet<string> = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN"]);
const MAX_REDIRECTS = 5;

/**
 * Asks a JSON API. Retries cover the body too, which a broken connection may cut; that is why this is not left to an HTTP library
 * whose retries end with the headers.
 */
export class RestClient {
  readonly #options: RequestOptions;
  readonly #runtime: Runtime;
  readonly #credentials: Credentials;

  constructor(options: RequestOptions, runtime: Runtime) {
    this.#options = options;
    this.#runtime = runtime;
    this.#credentials = new Credentials(options, runtime.env);
  }

  /** The option `url` with the configured query, without its secrets, and `params` over it. */
  url(params: Readonly<Record<string, string>>): URL {
    const url = new URL(this.#options.url);
    for (const [name, value] of Object.entries(this.#options.query)) {
      if (!isFromEnvironment(value)) url.searchParams.set(name, String(value));
    }
    for (const [name, value] of Object.entries(params)) url.searchParams.set(name, value);
    return url;
  }

  /** The URL that an answer of `from` leads to, without secrets, so that it can be stored. Error: `LINK_TO_OTHER_ORIGIN`. */
  follow(link: string, from: string, method: HttpRequest["method"] = "GET"): URL {
    const url = new URL(link, from);
    const { origin } = new URL(this.#options.url);
    if (url.origin === origin) return this.#credentials.conceal(url);
    throw new MillraceError(
      "LINK_TO_OTHER_ORIGIN",
      `${method} ${from} leads to ${url.origin}, not to ${origin}`,
      {
        where: { url: from },
        hint: "That server would be sent the credentials of this one. Set url to the origin that serves the API.",
      },
    );
  }

  /**
   * GET as JSON. Errors: `HTTP_STATUS`, `HTTP_FAILED` (no answer), `HTTP_NOT_JSON`, `LINK_TO_OTHER_ORIGIN`, `SECRET_MISSING`, `SECRET_INVALID`. What
   * may pass is tried again here first.
   */
  async get(url: URL, signal?: AbortSignal): Promise<Answer> {
    const request: HttpRequest = { method: "GET", url, headers: { accept: "application/json" } };
    const { response, text, url: shown } = await this.#ask(request, signal);
    try {
      return { body: parseJson(text), nextLink: parseNextLink(response.headers.get("link")), url: shown };
    } catch {
      // The parser's error quotes the body.
      throw notJson(response.status, shown);
    }
  }

  /** Sends rows. Errors as `get`; one that is not retryable may have been processed all the same. */
  async send(delivery: Delivery, signal?: AbortSignal): Promise<void> {
    const headers = { accept: "application/json", "content-type": delivery.contentType };
    await this.#ask({ method: delivery.method, url: this.url({}), headers, delivery }, signal);
  }

  async #ask(request: HttpRequest, signal: AbortSignal | undefined): Promise<HttpResponse> {
    const { maxRetries, maxRetryDelaySeconds } = this.#options;
    const policy: RetryPolicy = {
      attempts: maxRetries + 1,
      firstDelay: FIRST_RETRY_MILLISECONDS,
      longestDelay: maxRetryDelaySeconds * 1000,
    };
    let retryAfter: number | undefined;
    const ask = async (): Promise<HttpResponse> => {
      const outcome = await this.#tryOnce(request, signal);
      if (!("error" in outcome)) return outcome;
      retryAfter = outcome.retryAfter;
      throw outcome.error;
    };
    return await retry(this.#runtime, policy, ask, {
      isRetryable: (error) => signal?.aborted !== true && MillraceError.is(error) && error.retryable,
      askedDelayOf: () => retryAfter,
      signal,
    });
  }

  async #tryOnce(request: HttpRequest, signal?: AbortSignal): Promise<HttpResponse | Failure> {
    const { method, headers: defaults, delivery } = request;
    const url = this.#credentials.conceal(request.url).href;
    const timeout = AbortSignal.timeout(this.#options.timeoutSeconds * 1000);
    const headers = this.#credentials.headers(defaults);
    // Over the options' own headers: one key for all requests would lose all but the first.
    if (delivery?.idempotency !== undefined)
      headers.set(delivery.idempotency.header, delivery.idempotency.key);
    const init: RequestInit = {
      method,
      headers,
      signal: signal === undefined ? timeout : AbortSignal.any([timeout, signal]),
      // fetch would take headers with it to another origin.
      redirect: "manual",
      ...(delivery === undefined ? {} : { body: delivery.body }),
    };
    let response: Response;
    let text: string;
    try {
      response = await this.#fetch(request, init);
      text = await response.text();
    } catch (error) {
      if (MillraceError.is(error)) throw error;
      return {
        error: failed(request, url, error, timeout.aborted ? this.#options.timeoutSeconds : undefined),
      };
    }
    if (response.ok || delivery?.alreadyDone.includes(response.status)) return { response, text, url };
    const retryAfter = parseRetryAfter(response.headers.get("retry-after"), this.#runtime.now());
    return { error: statusError(request, url, response.status), retryAfter };
  }

  /** Follows redirects within the origin, as far as they keep the method. */
  async #fetch({ method, url }: HttpRequest, init: RequestInit): Promise<Response> {
    let at = url;
    for (let redirects = 0; ; redirects++) {
      const response = await fetch(this.#credentials.reveal(at), init);
      const { status } = response;
      const isRedirect = method === "GET" ? status >= 300 && status <= 399 : status === 307 || status === 308;
      const location = response.headers.get("location");
      if (!isRedirect || location === null || redirects === MAX_REDIRECTS) return response;
      await response.body?.cancel();
      at = this.follow(location, this.#credentials.conceal(at).href, method);
    }
  }
}

/** A request that could be processed twice is not sent again, unless nothing can have been done. */
function mayRepeat({ method, delivery }: HttpRequest): boolean {
  return method === "GET" || method === "PUT" || delivery?.idempotency !== undefined;
}

/** ` for rows 201 to 300`. */
function rowsOf({ delivery }: HttpRequest): string {
  return delivery === undefined ? "" : ` for rows ${delivery.rows.first} to ${delivery.rows.last}`;
}

function placeOf({ delivery }: HttpRequest, url: string): ErrorLocation {
  return { url, ...(delivery === undefined ? {} : { row: delivery.rows.first }) };
}

const MAY_BE_DONE =
  "The API may have processed it, and has no idempotency key to know it by: look there before the next run, which sends it again.";

/** `seconds` where no answer came within them. */
function failed(
  request: HttpRequest,
  url: string,
  thrown: unknown,
  seconds: number | undefined,
): MillraceError {
  const { code, reason } = reasonOf(thrown);
  const problem = seconds === undefined ? reason : `no answer within ${seconds} s`;
  const retryable = mayRepeat(request) || (seconds === undefined && NOT_SENT.has(code));
  return new MillraceError("HTTP_FAILED", `${request.method} ${url} failed${rowsOf(request)}: ${problem}`, {
    where: placeOf(request, url),
    retryable,
    hint: retryable ? "Check that the API is up and can be reached from here." : MAY_BE_DONE,
  });
}

function notJson(status: number, url: string): MillraceError {
  return new MillraceError("HTTP_NOT_JSON", `GET ${url} answered ${status} with a body that is not JSON`, {
    where: { url, status },
    hint: "Check that url is the API's, not that of a page for people.",
  });
}

function statusError(request: HttpRequest, url: string, status: number): MillraceError {
  const { delivery } = request;
  const retried = delivery?.idempotency === undefined ? RETRIED_STATUS : RETRIED_WITH_KEY;
  const retryable = (mayRepeat(request) ? retried : REFUSED_STATUS).has(status);
  const isUnknown = !retryable && RETRIED_STATUS.has(status);
  return new MillraceError("HTTP_STATUS", `${request.method} ${url} answered ${status}${rowsOf(request)}`, {
    where: { ...placeOf(request, url), status },
    retryable,
    hint: isUnknown ? MAY_BE_DONE : delivery === undefined ? hintFor(status) : hintForDelivery(status),
  });
}

function hintFor(status: number): string {
  return (
    commonHint(status) ??
    (status >= 500
      ? "The API is at fault: ask who runs it. The batch will be replayed with the same range."
      : "Check url, query and pagination of the options.")
  );
}

function hintForDelivery(status: number): string {
  if (status >= 300 && status <= 399) return "The API is elsewhere: set url to where it sends the request.";
  if (status === 409)
    return "Where the API says so of rows that it has already, set alreadyDone: [409]; else it was still at work on an earlier try.";
  if (status === 413) return "The request is too large: lower rowsPerRequest.";
  return (
    commonHint(status) ??
    (status >= 500
      ? "The API is at fault: ask who runs it. The next run sends the same requests again."
      : "The API refuses the rows, or has no such endpoint: check url, method and body of the options, and its log.")
  );
}

function commonHint(status: number): string | undefined {
  if (status === 401 || status === 403) {
    return "Check the credentials: bearerToken, headers or query of the options, and the environment variables that they name.";
  }
  if (status === 429)
    return "The API limits requests: lower --max-concurrency, or raise maxRetries and maxRetryDelaySeconds.";
  return undefined;
}

/** undici says only "fetch failed"; its cause says why. */
function reasonOf(error: unknown): { readonly code: string; readonly reason: string } {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  const message = cause instanceof Error ? cause.message : String(cause);
  return { code, reason: [code, message].filter(Boolean).join(": ") };
}
