import { linkSignals } from "../../contract/abort.ts";
import type { Runtime } from "../../contract/context.ts";
import type { ErrorCode } from "../../contract/error-codes.ts";
import { MillraceError } from "../../contract/errors.ts";
import { type RetryPolicy, retry } from "../../contract/retry.ts";
import { readText } from "../kit/http/body.ts";
import { excerptOf } from "../kit/http/excerpt.ts";
import { AccessTokens } from "../kit/http/oauth2.ts";
import { Pace } from "../kit/http/pace.ts";
import { limitAnswer } from "../kit/http/rate-limits.ts";
import { JsonFault, parseJson } from "../kit/json-parser.ts";
import { isFromEnvironment } from "../kit/secrets.ts";
import { Credentials } from "./credentials.ts";
import { bodyCut, noResponse, notJson, notText, responseTooLarge, statusError } from "./errors.ts";
import type { BodyQuery, Delivery, HttpRequest } from "./request.ts";
import { fillBody, jsonText } from "./request-body.ts";
import type { RequestOptions } from "./request-options.ts";

/** A response of the API to a request that reads. */
export interface Answer {
  /** The parsed JSON, or `undefined` if the response has no body. */
  readonly body: unknown;
  /** True if the status says that there is no body: 204 or 205. */
  readonly noContent: boolean;
  /** The text of the `Link` header. */
  readonly link: string | null;
  /** The requested URL, which may have secrets: relative links are resolved with it. */
  readonly base: URL;
  /** The requested URL without secrets, for messages. */
  readonly url: string;
}

interface HttpResponse {
  readonly response: Response;
  readonly text: string;
  /** The requested URL without secrets, for messages. */
  readonly url: string;
}

interface FetchOptions {
  readonly init: RequestInit;
  /** Returns the URL to request, with its secrets. */
  toUrl(url: URL): URL;
  /** Returns the signal of a request, whose time begins then. */
  limits(): AbortSignal;
  readonly signal: AbortSignal | undefined;
}

const FIRST_RETRY_MILLISECONDS = 250;
const MAX_REDIRECTS = 5;
/** How much of a body is read if it is only for messages. */
const MAX_UNUSED_BYTES = 64 * 1024;

/**
 * A client for a JSON API. A retry also covers reading the body, because a broken connection may
 * truncate it. HTTP libraries retry only until the headers arrive, so we do it ourselves.
 */
export class RestClient {
  readonly #options: RequestOptions;
  readonly #runtime: Runtime;
  readonly #credentials: Credentials;
  readonly #policy: RetryPolicy;
  readonly #pace: Pace;
  readonly #tokens: AccessTokens | undefined;

  constructor(options: RequestOptions, runtime: Runtime) {
    const { url, maxRetries, maxRetryDelaySeconds, requestsPerSecond } = options;
    this.#options = options;
    this.#runtime = runtime;
    this.#credentials = new Credentials(options, runtime.env, () => this.#tokens?.recent ?? []);
    this.#policy = {
      attempts: maxRetries + 1,
      firstDelay: FIRST_RETRY_MILLISECONDS,
      longestDelay: maxRetryDelaySeconds * 1000,
    };
    this.#pace = new Pace(new URL(url).origin, requestsPerSecond, this.#policy, runtime);
    if (options.oauth2 !== undefined) {
      const requests = { connector: "RestApi", policy: this.#policy, ...options };
      const conceal = (text: string): string => this.#credentials.conceal(text);
      this.#tokens = new AccessTokens(options.oauth2, { ...requests, conceal }, runtime);
    }
  }

  /**
   * Returns the option `url` with the option `query`, except its secrets, and with `params`, which
   * take precedence.
   */
  url(params: Readonly<Record<string, string>>): URL {
    const url = this.#withQuery(undefined);
    for (const [name, value] of Object.entries(params)) url.searchParams.set(name, value);
    return url;
  }

  #withQuery(given: URL | undefined): URL {
    const url = new URL(given ?? this.#options.url);
    for (const [name, value] of Object.entries(this.#options.query)) {
      if (!isFromEnvironment(value)) url.searchParams.set(name, String(value));
    }
    return url;
  }

  /**
   * Returns the link in a response as it can be stored: path and query, without secrets. Error:
   * `LINK_TO_OTHER_ORIGIN`.
   */
  storedLink(link: string, { base }: Pick<Answer, "base">): string {
    return this.#credentials.hideInUrl(this.#follow(link, base, "GET"));
  }

  /** Returns the URL of a link that was stored. Error: `LINK_TO_OTHER_ORIGIN`. */
  linked(stored: string): URL {
    const url = this.#credentials.revealUrl(stored);
    return this.#checkOrigin(url, "the stored page");
  }

  /** Returns the text of a cursor as it can be stored, without secrets. */
  storedCursor(cursor: string): string {
    return this.#credentials.hide(cursor);
  }

  /** Returns the text of a cursor that was stored, with its secrets. */
  cursor(stored: string): string {
    return this.#credentials.reveal(stored);
  }

  /** Returns the URL that a link points to. Error: `LINK_TO_OTHER_ORIGIN`. */
  #follow(link: string, from: URL, method: HttpRequest["method"], shown?: string): URL {
    const url = shown ?? this.#credentials.shown(from);
    return this.#checkOrigin(new URL(link, from), `${method} ${url}`, url);
  }

  /**
   * Returns the URL if it has the origin of the option `url`. Links, redirects and stored pages
   * come from outside, and another server must not be sent the credentials of this one.
   */
  #checkOrigin(url: URL, what: string, from = this.#credentials.shown(new URL(this.#options.url))): URL {
    const { origin } = new URL(this.#options.url);
    if (url.origin === origin) return url;
    throw new MillraceError("LINK_TO_OTHER_ORIGIN", `${what} leads to ${url.origin}, not to ${origin}`, {
      where: { url: from },
      hint: "That server would be sent the credentials of this one. Set url to the origin that serves the API; after a wrong offset, `millrace rewind`.",
    });
  }

  /**
   * Sends a request that reads, and parses the response as JSON. It is a GET request, or a POST
   * request if there is a `query` for its body. Transient errors are retried first. Errors:
   * `HTTP_STATUS`, `HTTP_FAILED` (no complete response), `HTTP_NOT_TEXT`, `HTTP_NOT_JSON`,
   * `RESPONSE_TOO_LARGE`, `LINK_TO_OTHER_ORIGIN`, `ACCESS_TOKEN_FAILED`, `SECRET_MISSING`,
   * `SECRET_INVALID`.
   */
  async get(url: URL, { signal, query }: { signal?: AbortSignal; query?: BodyQuery } = {}): Promise<Answer> {
    const accept = "application/json";
    const request: HttpRequest =
      query === undefined
        ? { method: "GET", url, headers: { accept } }
        : { method: "POST", url, headers: { accept, "content-type": accept }, query };
    return await this.#ask(request, signal, (answer) => {
      const { status, headers } = answer.response;
      const noContent = status === 204 || status === 205;
      const body = answer.text.trim() === "" ? undefined : this.#parse(answer, request.method);
      return { body, noContent, link: headers.get("link"), base: url, url: answer.url };
    });
  }

  /**
   * Sends rows. It throws the same errors as `get`. After an error that is not retryable, the API
   * may still have processed the rows.
   */
  async send(delivery: Delivery, signal?: AbortSignal): Promise<void> {
    const hasBody = delivery.body !== undefined;
    const headers = {
      accept: "application/json",
      ...(hasBody ? { "content-type": delivery.contentType } : {}),
    };
    const request = { method: delivery.method, url: this.#withQuery(delivery.url), headers, delivery };
    await this.#ask(request, signal, () => undefined);
  }

  /** Sends a request until it succeeds, and returns what `read` makes of the response. */
  async #ask<T>(
    request: HttpRequest,
    signal: AbortSignal | undefined,
    read: (answer: HttpResponse) => T,
  ): Promise<T> {
    let wait: number | undefined;
    const tryOnce = async (): Promise<T> => {
      wait = undefined;
      const answer = await this.#tryOnce(request, signal);
      const { ok, status } = answer.response;
      if (ok || request.delivery?.alreadyDone.includes(status)) return read(answer);
      const limit = limitAnswer(answer.response, answer.text, this.#runtime.now());
      wait = limit.wait;
      const maxDelay = this.#options.maxRetryDelaySeconds;
      const found = this.#excerpt(answer.text);
      const error = statusError(request, answer.url, { ...limit, status, maxDelay, found });
      if (error.retryable && wait !== undefined && wait <= maxDelay * 1000) this.#pace.pause(wait);
      throw error;
    };
    return await retry(this.#runtime, this.#policy, tryOnce, {
      // Requests for tokens have been retried already.
      isRetryable: (error) =>
        signal?.aborted !== true &&
        MillraceError.is(error) &&
        error.retryable &&
        error.code !== ("ACCESS_TOKEN_FAILED" satisfies ErrorCode),
      askedDelayOf: () => wait,
      signal,
    });
  }

  /** Parses the body of a page. Errors: `HTTP_NOT_JSON`, and `HTTP_FAILED` if it was cut. */
  #parse({ response: { status }, text, url }: HttpResponse, method: string): unknown {
    try {
      return parseJson(text);
    } catch (error) {
      if (!(error instanceof JsonFault)) throw error;
      if (error.kind === "cut") throw bodyCut(method, status, url, "it ends in the middle of its JSON");
      throw notJson(method, status, url, error, this.#excerpt(text));
    }
  }

  #excerpt(text: string): string | undefined {
    return excerptOf(text, (each) => this.#credentials.conceal(each));
  }

  /**
   * Sends a request and reads the whole response, whatever its status. If the API refuses the
   * access token, the request is sent once more with another one. Errors: `HTTP_FAILED`,
   * `ACCESS_TOKEN_FAILED`.
   */
  async #tryOnce(request: HttpRequest, signal: AbortSignal | undefined): Promise<HttpResponse> {
    if (this.#tokens === undefined) return await this.#exchange(request, undefined, signal);
    const token = await this.#tokens.token(signal);
    const answer = await this.#exchange(request, token, signal);
    if (answer.response.status !== 401) return answer;
    this.#tokens.refuse(token);
    return await this.#exchange(request, await this.#tokens.token(signal), signal);
  }

  /**
   * Sends a request once and reads the whole response, whatever its status. Error: `HTTP_FAILED`.
   */
  async #exchange(
    request: HttpRequest,
    token: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<HttpResponse> {
    const { method, headers: defaults, delivery, query } = request;
    const url = delivery?.shownUrl ?? this.#credentials.shown(request.url);
    const headers = this.#credentials.headers(defaults, token);
    for (const [name, value] of Object.entries(delivery?.headers ?? {})) headers.set(name, value);
    // Overrides a header of the same name in the options. If all requests had the same key, the API
    // would ignore all but the first.
    if (delivery?.idempotency !== undefined)
      headers.set(delivery.idempotency.header, delivery.idempotency.key);
    const init: RequestInit = {
      method,
      headers,
      // With "follow", fetch would send the headers, which may hold secrets, to another origin.
      redirect: "manual",
      ...(delivery?.body === undefined ? {} : { body: delivery.body }),
      ...(query === undefined
        ? {}
        : { body: jsonText(fillBody(this.#credentials.inBody(query.template), query.params)) }),
    };
    const toUrl = (to: URL): URL =>
      this.#credentials.withSecrets(this.#checkOrigin(to, "the request"), token, delivery?.url === undefined);
    let timeout: AbortSignal | undefined;
    let unlink: () => void = () => undefined;
    const limits = (): AbortSignal => {
      timeout = AbortSignal.timeout(this.#options.timeoutSeconds * 1000);
      if (signal === undefined) return timeout;
      unlink();
      const linked = linkSignals(timeout, signal);
      unlink = linked.unlink;
      return linked.signal;
    };
    try {
      const response = await this.#fetch(request, { init, toUrl, limits, signal });
      return { response, text: await this.#textOf(response, request, url), url };
    } catch (error) {
      // Without a time limit, no request was sent: the wait for its turn was aborted.
      if (MillraceError.is(error) || timeout === undefined) throw error;
      const seconds = timeout.aborted ? this.#options.timeoutSeconds : undefined;
      throw noResponse(request, url, error, seconds);
    } finally {
      unlink();
    }
  }

  /** Follows redirects within the origin if they keep the request's method. */
  async #fetch(
    { method, url, delivery }: HttpRequest,
    { init, toUrl, limits, signal }: FetchOptions,
  ): Promise<Response> {
    let at = url;
    for (let redirects = 0; ; redirects++) {
      const asked = toUrl(at);
      await this.#pace.turn(signal);
      const response = await fetch(asked, { ...init, signal: limits() });
      const { status } = response;
      const isRedirect = method === "GET" ? status >= 300 && status <= 399 : status === 307 || status === 308;
      const location = response.headers.get("location");
      if (!isRedirect || location === null || redirects === MAX_REDIRECTS) return response;
      await response.body?.cancel();
      at = this.#follow(location, at, method, delivery?.shownUrl);
    }
  }

  /**
   * Reads the body. Only the body of a page is needed as a whole; of others a part is read, for
   * messages, and so that the connection can be used again. Errors: `RESPONSE_TOO_LARGE`,
   * `HTTP_NOT_TEXT`, and `HTTP_FAILED` if the body was cut.
   */
  async #textOf(response: Response, { method, delivery }: HttpRequest, url: string): Promise<string> {
    const { maxResponseBytes, charset } = this.#options;
    const isPage = response.ok && delivery === undefined;
    const maxBytes = isPage ? maxResponseBytes : MAX_UNUSED_BYTES;
    const reading = readText(response, { maxBytes, charset, strict: isPage });
    // A status that is an error counts even if its body was cut.
    const body = response.ok ? await reading : await reading.catch(() => ({ text: "", isCut: true }));
    if ("problem" in body) throw notText(method, response.status, url, body);
    if (isPage && body.text === "" && !body.isCut && !saysEmpty(response)) {
      throw bodyCut(method, response.status, url, "it has no bytes, and no header says that there are none");
    }
    if (isPage && body.isCut) throw responseTooLarge(method, response.status, url, maxBytes);
    return body.text;
  }
}

/** The size of an empty body in gzip. */
const EMPTY_GZIP_BYTES = 20;

/**
 * Returns true if an empty body is proven to be empty. One that ends with its connection, and one
 * in gzip, may also have been cut before its first byte.
 */
function saysEmpty({ status, headers }: Response): boolean {
  const length = headers.get("content-length");
  if (status === 204 || length === "0") return true;
  if (headers.has("content-encoding")) return Number(length ?? 0) >= EMPTY_GZIP_BYTES;
  return length !== null || headers.has("transfer-encoding");
}
