import type { Runtime } from "../../../../contract/context.ts";
import { MillraceError } from "../../../../contract/errors.ts";
import { retry } from "../../../../contract/retry.ts";
import { isPassing, NOT_SENT, REFUSED_STATUS, reasonOf } from "../../../kit/http/failures.ts";
import { parseRetryAfter } from "../../../kit/http/response-headers.ts";
import { problemOf, type RestAnswer } from "./answer.ts";
import { concealed, type RestAuth } from "./auth.ts";

/** 419 is that of the specification for an authentication that has timed out. */
const DENIED: ReadonlySet<number> = new Set([401, 403, 419]);

export interface RestRequest {
  readonly method: "GET" | "POST";
  /** Path and query, encoded. */
  readonly path: string;
  /** JSON. */
  readonly body?: string;
  /** False for a request that has another effect, or another answer, if it is sent twice. */
  readonly isRepeatable: boolean;
}

interface HttpParts {
  readonly auth: RestAuth;
  /** Values of headers that no message may show. */
  readonly secrets: readonly string[];
  readonly runtime: Runtime;
  readonly timeoutSeconds: number;
  readonly maxRetries: number;
}

/** An attempt that has no answer to return. */
class Failed extends Error {
  readonly error: MillraceError;
  /** True if the request may have taken effect. */
  readonly isDoubtful: boolean;
  /** Milliseconds that the catalog asks to wait. */
  readonly wait: number | undefined;

  constructor(error: MillraceError, isDoubtful: boolean, wait?: number) {
    super(error.message);
    this.error = error;
    this.isDoubtful = isDoubtful;
    this.wait = wait;
  }
}

/** Sends requests to a REST catalog. */
export class RestHttp {
  readonly #parts: HttpParts;
  #base: string;
  #headers: Readonly<Record<string, string>>;

  constructor(base: string, headers: Readonly<Record<string, string>>, parts: HttpParts) {
    this.#base = base.replace(/\/+$/, "");
    this.#headers = headers;
    this.#parts = parts;
  }

  /** Adds what the configuration of the catalog demands. */
  configure(base: string | undefined, headers: Readonly<Record<string, string>>): void {
    if (base !== undefined) this.#base = base.replace(/\/+$/, "");
    this.#headers = { ...this.#headers, ...headers };
  }

  /**
   * Returns the answer, whatever its status is, but for credentials that are refused
   * (`CATALOG_DENIED`). A repeatable request is retried if the catalog is busy or not reached. Of
   * any other request, `unanswered` is returned if it may have taken effect. Error:
   * `CATALOG_FAILED`.
   */
  async send(request: RestRequest): Promise<RestAnswer | { readonly unanswered: MillraceError }> {
    const { runtime, maxRetries } = this.#parts;
    const policy = { attempts: maxRetries + 1, firstDelay: 500, longestDelay: 30_000 };
    const mayRepeat = (error: unknown) =>
      error instanceof Failed && error.error.retryable && (request.isRepeatable || !error.isDoubtful);
    try {
      return await retry(runtime, policy, () => this.#attempt(request), {
        isRetryable: mayRepeat,
        askedDelayOf: (error) => (error instanceof Failed ? error.wait : undefined),
      });
    } catch (error) {
      if (!(error instanceof Failed)) throw error;
      if (error.isDoubtful && !request.isRepeatable) return { unanswered: error.error };
      throw error.error;
    }
  }

  /** Returns the answer of a repeatable request. Errors: `CATALOG_DENIED`, `CATALOG_FAILED`. */
  async ask(method: "GET" | "POST", path: string, body?: string): Promise<RestAnswer> {
    const answer = await this.send({
      method,
      path,
      isRepeatable: true,
      ...(body === undefined ? {} : { body }),
    });
    if ("unanswered" in answer) throw answer.unanswered;
    return answer;
  }

  /** The error of an answer whose status is unexpected. */
  failed({ method, path }: RestRequest, answer: RestAnswer): MillraceError {
    const { status } = answer;
    const { type, message } = problemOf(answer);
    const said = this.#conceal([type, message].filter(Boolean).join(": "));
    const isDenied = DENIED.has(status);
    return new MillraceError(
      isDenied ? "CATALOG_DENIED" : "CATALOG_FAILED",
      `the catalog answered ${status} to ${method} ${path}${said === "" ? "" : `: ${said}`}`,
      {
        where: { url: this.#base + path, status },
        hint: isDenied ? HINTS.denied : hintOf(status),
        retryable: isPassing(status),
      },
    );
  }

  async #attempt(request: RestRequest): Promise<RestAnswer> {
    let answer = await this.#once(request);
    // The request was refused, so it is safe to send it again.
    if (DENIED.has(answer.status) && this.#parts.auth.renew()) answer = await this.#once(request);
    const { status, headers } = answer;
    if (DENIED.has(status)) throw this.failed(request, answer);
    if (!isPassing(status)) return answer;
    const wait = parseRetryAfter(headers.get("retry-after"), headers.get("date"), this.#parts.runtime.now());
    throw new Failed(this.failed(request, answer), !REFUSED_STATUS.has(status), wait);
  }

  async #once({ method, path, body }: RestRequest): Promise<RestAnswer> {
    const { auth, timeoutSeconds } = this.#parts;
    const url = new URL(this.#base + path);
    const type = body === undefined ? {} : { "content-type": "application/json" };
    const own = { accept: "application/json", ...type, ...this.#headers };
    const headers = await auth.headers({ method, url, headers: own, body });
    const signal = AbortSignal.timeout(Math.ceil(timeoutSeconds * 1000));
    try {
      // A redirect would be sent the credentials, so it is an error like any other status.
      const response = await fetch(url, { method, headers, body: body ?? null, redirect: "manual", signal });
      return { status: response.status, headers: response.headers, text: await response.text() };
    } catch (error) {
      const { code, reason } = reasonOf(error);
      const why = signal.aborted ? `no answer within ${timeoutSeconds} s` : this.#conceal(reason);
      throw new Failed(
        new MillraceError("CATALOG_FAILED", `${method} ${path} to the catalog failed: ${why}`, {
          where: { url: this.#base + path },
          hint: HINTS.unreachable,
          retryable: true,
        }),
        !NOT_SENT.has(code),
      );
    }
  }

  #conceal(text: string): string {
    return concealed(text, [...this.#parts.auth.secrets, ...this.#parts.secrets]);
  }
}

const HINTS = {
  denied:
    "Check the credentials of the option catalog and the rights of their user or role, then `millrace run` again.",
  unreachable: "Check that the uri of the catalog can be reached from here, then `millrace run` again.",
  elsewhere: "Check the uri, prefix and warehouse of the option catalog, then `millrace run` again.",
  busy: "The catalog is at fault or busy: `millrace run` again later.",
  other:
    "The catalog does not take the request; its own words are above. Correct it, then `millrace run` again.",
} as const;

function hintOf(status: number): string {
  if (status === 404 || (status >= 300 && status <= 399)) return HINTS.elsewhere;
  return isPassing(status) ? HINTS.busy : HINTS.other;
}
