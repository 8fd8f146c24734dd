import type { Runtime } from "../../contract/context.ts";
import { MillraceError } from "../../contract/errors.ts";
import { type RetryPolicy, retry } from "../../contract/retry.ts";
import { parseJson } from "../kit/json.ts";
import { isFromEnvironment } from "../kit/secrets.ts";
import { Credentials } from "./credentials.ts";
import { noAnswer, notJson, statusError } from "./errors.ts";
import type { RequestOptions } from "./options.ts";
import type { Delivery, HttpRequest } from "./request.ts";
import { parseNextLink, parseRetryAfter } from "./response-headers.ts";

/** A page as it came: its JSON, and where `Link: rel="next"` points. */
export interface Answer {
  readonly body: unknown;
  readonly nextLink: string | undefined;
  /** The URL that was asked, fit for messages. */
  readonly url: string;
}

interface HttpResponse {
  readonly response: Response;
  readonly text: string;
  /** The URL that was asked, fit for messages. */
  readonly url: string;
}

const FIRST_RETRY_MILLISECONDS = 250;
const MAX_REDIRECTS = 5;

/**
 * Asks a JSON API. Retries cover the body too, which a broken connection may cut; that is why this
 * is not left to an HTTP library whose retries end with the headers.
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

  /**
   * The URL that an answer of `from` leads to, without secrets, so that it can be stored. Error:
   * `LINK_TO_OTHER_ORIGIN`.
   */
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
   * GET as JSON. Errors: `HTTP_STATUS`, `HTTP_FAILED` (no answer), `HTTP_NOT_JSON`,
   * `LINK_TO_OTHER_ORIGIN`, `SECRET_MISSING`, `SECRET_INVALID`. What may pass is tried again here
   * first.
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

  /**
   * Sends rows. Errors as `get`; one that is not retryable may have been processed all the same.
   */
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
    const tryOnce = async (): Promise<HttpResponse> => {
      retryAfter = undefined;
      const answer = await this.#tryOnce(request, signal);
      const { ok, status, headers } = answer.response;
      if (ok || request.delivery?.alreadyDone.includes(status)) return answer;
      retryAfter = parseRetryAfter(headers.get("retry-after"), this.#runtime.now());
      throw statusError(request, answer.url, status);
    };
    return await retry(this.#runtime, policy, tryOnce, {
      isRetryable: (error) => signal?.aborted !== true && MillraceError.is(error) && error.retryable,
      askedDelayOf: () => retryAfter,
      signal,
    });
  }

  /** One whole answer, whatever its status. Error: `HTTP_FAILED`. */
  async #tryOnce(request: HttpRequest, signal?: AbortSignal): Promise<HttpResponse> {
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
    try {
      const response = await this.#fetch(request, init);
      return { response, text: await response.text(), url };
    } catch (error) {
      if (MillraceError.is(error)) throw error;
      const seconds = timeout.aborted ? this.#options.timeoutSeconds : undefined;
      throw noAnswer(request, url, error, seconds);
    }
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
