import type { Runtime } from "../../contract/context.ts";
import { MillraceError } from "../../contract/errors.ts";
import { Credentials, isFromEnvironment } from "./credentials.ts";
import type { ParsedOptions } from "./options.ts";
import { parseNextLink, parseRetryAfter } from "./response-headers.ts";

/** A page as it came: its JSON, and where `Link: rel="next"` points. */
export interface Answer {
  readonly body: unknown;
  readonly nextLink: string | undefined;
  /** The URL that was asked, fit for messages. */
  readonly url: string;
}

/** A request that failed, and how long the API asks to wait. */
interface Failure {
  readonly error: MillraceError;
  readonly retryAfter?: number | undefined;
}

const FIRST_RETRY_MILLISECONDS = 250;
const RETRIED_STATUS = new Set([408, 425, 429, 500, 502, 503, 504]);
const MAX_REDIRECTS = 5;

/**
 * Asks a JSON API. Retries cover the body too, which a broken connection may cut; that is why this is not left to an HTTP library
 * whose retries end with the headers.
 */
export class RestClient {
  readonly #options: ParsedOptions;
  readonly #runtime: Runtime;
  readonly #credentials: Credentials;

  constructor(options: ParsedOptions, runtime: Runtime) {
    this.#options = options;
    this.#runtime = runtime;
    this.#credentials = new Credentials(options, runtime.env);
  }

  /** The list's URL with the configured query, without its secrets, and `params` over it. */
  url(params: Readonly<Record<string, string>>): URL {
    const url = new URL(this.#options.url);
    for (const [name, value] of Object.entries(this.#options.query)) {
      if (!isFromEnvironment(value)) url.searchParams.set(name, String(value));
    }
    for (const [name, value] of Object.entries(params)) url.searchParams.set(name, value);
    return url;
  }

  /** The URL that an answer of `from` leads to, without secrets, so that it can be stored. Error: `LINK_TO_OTHER_ORIGIN`. */
  follow(link: string, from: string): URL {
    const url = new URL(link, from);
    const { origin } = new URL(this.#options.url);
    if (url.origin === origin) return this.#credentials.conceal(url);
    throw new MillraceError("LINK_TO_OTHER_ORIGIN", `GET ${from} leads to ${url.origin}, not to ${origin}`, {
      where: { url: from },
      hint: "That server would be sent the credentials of this one. Set url to the origin that serves the pages.",
    });
  }

  /**
   * GET as JSON. Errors: `HTTP_STATUS`, `HTTP_FAILED` (no answer), `HTTP_NOT_JSON`, `LINK_TO_OTHER_ORIGIN`, `SECRET_MISSING`, `SECRET_INVALID`. What
   * may pass is tried again here first.
   */
  async get(url: URL, signal?: AbortSignal): Promise<Answer> {
    for (let attempt = 0; ; attempt++) {
      const answer = await this.#tryOnce(url, signal);
      if (!("error" in answer)) return answer;
      const { error, retryAfter } = answer;
      if (signal?.aborted || !error.retryable || attempt >= this.#options.maxRetries) throw error;
      const longest = this.#options.maxRetryDelaySeconds * 1000;
      const delay = retryAfter ?? Math.min(longest, FIRST_RETRY_MILLISECONDS * 2 ** attempt);
      if (delay > longest) throw error;
      await this.#runtime.sleep(delay, signal);
    }
  }

  async #tryOnce(url: URL, signal?: AbortSignal): Promise<Answer | Failure> {
    const shown = this.#credentials.conceal(url).href;
    const timeout = AbortSignal.timeout(this.#options.timeoutSeconds * 1000);
    const init: RequestInit = {
      headers: this.#credentials.headers(),
      signal: signal === undefined ? timeout : AbortSignal.any([timeout, signal]),
      // fetch would take headers with it to another origin.
      redirect: "manual",
    };
    let response: Response;
    let text: string;
    try {
      response = await this.#fetch(url, init);
      text = await response.text();
    } catch (error) {
      if (MillraceError.is(error)) throw error;
      const problem = timeout.aborted
        ? `no answer within ${this.#options.timeoutSeconds} s`
        : reasonOf(error);
      return { error: failed(shown, problem) };
    }
    if (!response.ok) {
      const retryAfter = parseRetryAfter(response.headers.get("retry-after"), this.#runtime.now());
      return { error: statusError(response.status, shown), retryAfter };
    }
    try {
      return { body: parseJson(text), nextLink: parseNextLink(response.headers.get("link")), url: shown };
    } catch {
      // The parser's error quotes the body.
      return { error: notJson(response.status, shown) };
    }
  }

  /** Follows redirects within the origin. */
  async #fetch(url: URL, init: RequestInit): Promise<Response> {
    let at = url;
    for (let redirects = 0; ; redirects++) {
      const response = await fetch(this.#credentials.reveal(at), init);
      const location = response.headers.get("location");
      if (response.status < 300 || response.status > 399 || location === null || redirects === MAX_REDIRECTS)
        return response;
      await response.body?.cancel();
      at = this.follow(location, this.#credentials.conceal(at).href);
    }
  }
}

function failed(url: string, problem: string): MillraceError {
  return new MillraceError("HTTP_FAILED", `GET ${url} failed: ${problem}`, {
    where: { url },
    retryable: true,
    hint: "Check that the API is up and can be reached from here.",
  });
}

function notJson(status: number, url: string): MillraceError {
  return new MillraceError("HTTP_NOT_JSON", `GET ${url} answered ${status} with a body that is not JSON`, {
    where: { url, status },
    hint: "Check that url is the API's, not that of a page for people.",
  });
}

function statusError(status: number, url: string): MillraceError {
  return new MillraceError("HTTP_STATUS", `GET ${url} answered ${status}`, {
    where: { url, status },
    retryable: RETRIED_STATUS.has(status),
    hint: hintFor(status),
  });
}

function hintFor(status: number): string {
  if (status === 401 || status === 403) {
    return "Check the credentials: bearerToken, headers or query of the options, and the environment variables that they name.";
  }
  if (status === 429)
    return "The API limits requests: lower --max-concurrency, or raise maxRetries and maxRetryDelaySeconds.";
  if (status >= 500)
    return "The API is at fault: ask who runs it. The batch will be replayed with the same range.";
  return "Check url, query and pagination of the options.";
}

/** JSON whose integers beyond 2^53 come as bigint instead of losing their last digits. */
function parseJson(text: string): unknown {
  if (!/\d{16}/.test(text)) return JSON.parse(text);
  const revive = (_key: string, value: unknown, context?: { readonly source?: string }): unknown =>
    typeof value === "number" && !Number.isSafeInteger(value) && /^-?\d+$/.test(context?.source ?? "")
      ? BigInt(context?.source ?? 0)
      : value;
  return JSON.parse(text, revive);
}

/** undici says only "fetch failed"; its cause says why. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : undefined;
  return [code, cause instanceof Error ? cause.message : String(cause)].filter(Boolean).join(": ");
}
