import type { Runtime } from "../../contract/context.ts";
import { MillraceError } from "../../contract/errors.ts";
import type { FromEnvironment, ParsedOptions } from "./options.ts";

/** A page as it came: its JSON, and where `Link: rel="next"` points. */
export interface Answer {
  readonly body: unknown;
  readonly nextLink: string | undefined;
  /** The URL that was asked, fit for messages. */
  readonly url: string;
}

const FIRST_RETRY_MILLISECONDS = 250;
const RETRIED_STATUS = new Set([408, 425, 429, 500, 502, 503, 504]);

/**
 * Asks a JSON API. Retries cover the body too, which a broken connection may cut; that is why this is not left to an HTTP library
 * whose retries end with the headers. Secrets are read from the environment at each request.
 */
export class RestClient {
  readonly #options: ParsedOptions;
  readonly #runtime: Runtime;
  /** Names of query parameters whose values come from the environment. */
  readonly #secretParams: ReadonlySet<string>;

  constructor(options: ParsedOptions, runtime: Runtime) {
    this.#options = options;
    this.#runtime = runtime;
    this.#secretParams = new Set(
      Object.entries(options.query).flatMap(([name, value]) => (isFromEnvironment(value) ? [name] : [])),
    );
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

  /** The URL that a page links to, without secrets, so that it can be stored. Error: `LINK_TO_OTHER_ORIGIN`. */
  follow(link: string, from: string): URL {
    const url = new URL(link, from);
    const { origin } = new URL(this.#options.url);
    if (url.origin !== origin) {
      throw new MillraceError("LINK_TO_OTHER_ORIGIN", `the next page is at ${url.origin}, not at ${origin}`, {
        where: { url: this.shown(url) },
        hint: "Its server would be sent the credentials of this one. Set url to the origin that serves the pages.",
      });
    }
    for (const name of this.#secretParams) url.searchParams.delete(name);
    return url;
  }

  /**
   * GET as JSON. Errors: `HTTP_STATUS`, `HTTP_FAILED` (no answer), `HTTP_NOT_JSON`, `SECRET_MISSING`. Those that may pass are retried here first.
   */
  async get(url: URL, signal?: AbortSignal): Promise<Answer> {
    for (let attempt = 0; ; attempt++) {
      const failure = await this.#tryOnce(url, signal);
      if (!("error" in failure)) return failure;
      const { error, retryAfter } = failure;
      if (signal?.aborted || !error.retryable || attempt >= this.#options.maxRetries) throw error;
      const longest = this.#options.maxRetryDelaySeconds * 1000;
      const delay = retryAfter ?? Math.min(longest, FIRST_RETRY_MILLISECONDS * 2 ** attempt);
      if (delay > longest) throw error;
      await this.#runtime.sleep(delay, signal);
    }
  }

  async #tryOnce(
    url: URL,
    signal?: AbortSignal,
  ): Promise<Answer | { error: MillraceError; retryAfter?: number }> {
    const where = { url: this.shown(url) };
    const timeout = AbortSignal.timeout(this.#options.timeoutSeconds * 1000);
    const asked = this.#withSecrets(url);
    const headers = this.#headers();
    let response: Response;
    let text: string;
    try {
      response = await fetch(asked, {
        headers,
        signal: signal === undefined ? timeout : AbortSignal.any([timeout, signal]),
      });
      text = await response.text();
    } catch (error) {
      const problem = timeout.aborted
        ? `no answer within ${this.#options.timeoutSeconds} s`
        : reasonOf(error);
      return {
        error: new MillraceError("HTTP_FAILED", `GET ${where.url} failed: ${problem}`, {
          where,
          retryable: true,
          hint: "Check that the API is up and can be reached from here.",
        }),
      };
    }
    if (!response.ok) {
      const retryAfter = parseRetryAfter(response.headers.get("retry-after"), this.#runtime.now());
      return {
        error: this.#statusError(response.status, where.url),
        ...(retryAfter === undefined ? {} : { retryAfter }),
      };
    }
    try {
      return { body: parseJson(text), nextLink: parseNextLink(response.headers.get("link")), url: where.url };
    } catch (error) {
      return {
        error: new MillraceError(
          "HTTP_NOT_JSON",
          `GET ${where.url} answered ${response.status} with a body that is not JSON`,
          {
            where: { ...where, status: response.status },
            hint: "Check that url is the API's, not that of a page for people.",
            cause: error,
          },
        ),
      };
    }
  }

  #statusError(status: number, url: string): MillraceError {
    const hint =
      status === 401 || status === 403
        ? "Check the credentials: bearerToken, headers or query of the options, and the environment variables that they name."
        : status === 429
          ? "The API limits requests: lower --max-concurrency, or raise maxRetries and maxRetryDelaySeconds."
          : status >= 500
            ? "The API is at fault: ask who runs it. The batch will be replayed with the same range."
            : "Check url, query and pagination of the options.";
    return new MillraceError("HTTP_STATUS", `GET ${url} answered ${status}`, {
      where: { url, status },
      retryable: RETRIED_STATUS.has(status),
      hint,
    });
  }

  /** `url` for messages and the ledger: without user, password and secret parameters. */
  shown(url: URL): string {
    const shown = new URL(url);
    shown.username = "";
    shown.password = "";
    for (const name of this.#secretParams) shown.searchParams.delete(name);
    return shown.href;
  }

  #withSecrets(url: URL): URL {
    const asked = new URL(url);
    // fetch refuses a URL with credentials; they go into a header.
    asked.username = "";
    asked.password = "";
    for (const [name, value] of Object.entries(this.#options.query)) {
      if (isFromEnvironment(value)) asked.searchParams.set(name, this.#secret(value));
    }
    return asked;
  }

  #headers(): Headers {
    const headers = new Headers({ accept: "application/json" });
    const { username, password } = new URL(this.#options.url);
    if (username !== "") {
      const basic = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
      headers.set("authorization", `Basic ${Buffer.from(basic).toString("base64")}`);
    }
    if (this.#options.bearerToken !== undefined) {
      headers.set("authorization", `Bearer ${this.#secret(this.#options.bearerToken)}`);
    }
    for (const [name, value] of Object.entries(this.#options.headers)) {
      headers.set(name, isFromEnvironment(value) ? this.#secret(value) : value);
    }
    return headers;
  }

  #secret(from: FromEnvironment): string {
    const value = this.#runtime.env[from.env];
    if (value !== undefined && value !== "") return value;
    throw new MillraceError("SECRET_MISSING", `the environment variable ${from.env} is not set`, {
      hint: `Set ${from.env} where the pipeline runs; the options of RestApi name it.`,
    });
  }
}

function isFromEnvironment(value: unknown): value is FromEnvironment {
  return typeof value === "object" && value !== null && "env" in value;
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

/** Milliseconds to wait: the header has seconds, or a date. */
function parseRetryAfter(header: string | null, now: number): number | undefined {
  if (header === null) return undefined;
  if (/^\s*\d+\s*$/.test(header)) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

/** The target of `rel="next"` in a `Link` header. */
export function parseNextLink(header: string | null): string | undefined {
  for (const [, target, params] of (header ?? "").matchAll(
    /<([^>]*)>((?:\s*;\s*[^,;="]+(?:=(?:"[^"]*"|[^,;"]*))?)*)/g,
  )) {
    const rel = /;\s*rel\s*=\s*(?:"([^"]*)"|([^\s,;]+))/i.exec(params ?? "");
    if ((rel?.[1] ?? rel?.[2] ?? "").toLowerCase().split(/\s+/).includes("next")) return target;
  }
  return undefined;
}

/** undici says only "fetch failed"; its cause says why. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : undefined;
  return [code, cause instanceof Error ? cause.message : String(cause)].filter(Boolean).join(": ");
}
