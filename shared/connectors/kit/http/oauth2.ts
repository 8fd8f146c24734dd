import { onAbort } from "../../../contract/abort.ts";
import type { Runtime } from "../../../contract/context.ts";
import { MillraceError } from "../../../contract/errors.ts";
import { canonicalJson, isPlainObject, type JsonValue, kindOf } from "../../../contract/json.ts";
import { type RetryPolicy, retry } from "../../../contract/retry.ts";
import { type FromEnvironment, isFromEnvironment, secretOf } from "../secrets.ts";
import { sha256 } from "../sha256.ts";
import { readText } from "./body.ts";
import { excerptOf } from "./excerpt.ts";
import { isPassing, limitHint, reasonOf } from "./failures.ts";
import { Pace } from "./pace.ts";
import { type LimitAnswer, limitAnswer } from "./rate-limits.ts";
import { type Token, type TokenMemory, tokenMemory } from "./token-memory.ts";

/** The options of a token request, with their defaults. */
export interface OAuth2 {
  readonly tokenUrl: string;
  readonly clientId: string | FromEnvironment;
  readonly clientSecret: FromEnvironment;
  readonly scope?: string | undefined;
  readonly audience?: string | undefined;
  readonly authentication: "basic" | "body";
  readonly params: Readonly<Record<string, string>>;
}

/** How token requests are sent. */
export interface TokenRequests {
  /** The connector's name, for errors about secrets. */
  readonly connector: string;
  readonly policy: RetryPolicy;
  readonly timeoutSeconds: number;
  readonly maxRetryDelaySeconds: number;
  readonly requestsPerSecond?: number | undefined;
  /** Removes secrets from what the token endpoint says. */
  conceal(text: string): string;
}

/** A token is refreshed this part of its life before its end, but at most a minute before. */
const MARGIN = 0.1;
const LONGEST_MARGIN = 60_000;
const LONGEST_ANSWER = 256 * 1024;
/** How many tokens are remembered, to conceal them. */
const RECENT = 4;

/** Token fetches of this thread that have not ended, by their memory. */
const FETCHES = new Map<TokenMemory, Promise<Token>>();

/**
 * Access tokens of the OAuth2 client credentials grant (RFC 6749, section 4.4). All threads of a
 * process share a token, and only one of them fetches it.
 */
export class AccessTokens {
  readonly #options: OAuth2;
  readonly #request: TokenRequests;
  readonly #runtime: Runtime;
  readonly #pace: Pace;
  readonly #memory: TokenMemory;
  #recent: readonly string[] = [];

  constructor(options: OAuth2, request: TokenRequests, runtime: Runtime) {
    this.#options = options;
    this.#request = request;
    this.#runtime = runtime;
    this.#pace = new Pace(
      new URL(options.tokenUrl).origin,
      request.requestsPerSecond,
      request.policy,
      runtime,
    );
    this.#memory = tokenMemory(sha256(canonicalJson(options as unknown as JsonValue)).toString("hex"));
  }

  /** Returns a valid token. Errors: `ACCESS_TOKEN_FAILED`, `SECRET_MISSING`. */
  async token(signal: AbortSignal | undefined): Promise<string> {
    signal?.throwIfAborted();
    const token = this.#usable() ?? (await abortable(this.#fetched(), signal));
    if (!this.#recent.includes(token.value)) this.#recent = [token.value, ...this.#recent].slice(0, RECENT);
    return token.value;
  }

  /** Forgets a token that the API has refused. */
  refuse(token: string): void {
    this.#memory.remove(token);
  }

  /** The newest tokens that `token` has returned, to conceal them. */
  get recent(): readonly string[] {
    return this.#recent;
  }

  #usable(): Token | undefined {
    const token = this.#memory.read();
    if (token?.refreshAt !== undefined && token.refreshAt <= this.#runtime.monotonic()) return undefined;
    return token;
  }

  /** Fetches a token, once for all callers of this thread. */
  #fetched(): Promise<Token> {
    const running = FETCHES.get(this.#memory);
    if (running !== undefined) return running;
    const fetching = this.#fetchLocked().finally(() => FETCHES.delete(this.#memory));
    FETCHES.set(this.#memory, fetching);
    return fetching;
  }

  async #fetchLocked(): Promise<Token> {
    const lease = this.#request.timeoutSeconds * 1000 + this.#request.policy.longestDelay + 5000;
    return await this.#memory.locked(this.#runtime, lease, async (renew) => {
      // Another thread may have fetched one in the meantime.
      const known = this.#usable();
      if (known !== undefined) return known;
      const token = await this.#fetch(renew);
      this.#memory.write(token);
      return token;
    });
  }

  async #fetch(renew: () => void): Promise<Token> {
    let wait: number | undefined;
    const tryOnce = async (): Promise<Token> => {
      wait = undefined;
      renew();
      await this.#pace.turn(undefined);
      const askedAt = this.#runtime.monotonic();
      const { response, text } = await this.#ask();
      if (response.ok) return this.#read(text, response.status, askedAt);
      const limit = limitAnswer(response, text, this.#runtime.now());
      wait = limit.wait;
      throw this.#refused(response.status, text, limit);
    };
    return await retry(this.#runtime, this.#request.policy, tryOnce, { askedDelayOf: () => wait });
  }

  async #ask(): Promise<{ readonly response: Response; readonly text: string }> {
    const { headers, body } = this.#form();
    const signal = AbortSignal.timeout(this.#request.timeoutSeconds * 1000);
    try {
      // A redirect would be sent the client's secret, so it is an error like any other status.
      const init: RequestInit = { method: "POST", headers, body, redirect: "manual", signal };
      const response = await fetch(this.#options.tokenUrl, init);
      const read = await readText(response, { maxBytes: LONGEST_ANSWER, strict: false });
      return { response, text: "text" in read ? read.text : "" };
    } catch (error) {
      const seconds = this.#request.timeoutSeconds;
      const problem = signal.aborted ? `no answer within ${seconds} s` : reasonOf(error).reason;
      throw this.#error(`failed: ${problem}`, "Check that the token endpoint can be reached from here.", {
        retryable: true,
      });
    }
  }

  /** Returns the form of RFC 6749, with the client's id and secret in a header or in the form. */
  #form(): { readonly headers: Headers; readonly body: URLSearchParams } {
    const { clientId, clientSecret, scope, audience, authentication, params } = this.#options;
    const id = isFromEnvironment(clientId)
      ? secretOf(this.#runtime.env, clientId, this.#request.connector)
      : clientId;
    const secret = secretOf(this.#runtime.env, clientSecret, this.#request.connector);
    const headers = new Headers({ accept: "application/json" });
    const body = new URLSearchParams({ grant_type: "client_credentials" });
    if (scope !== undefined) body.set("scope", scope);
    if (audience !== undefined) body.set("audience", audience);
    for (const [name, value] of Object.entries(params)) body.set(name, value);
    if (authentication === "body") {
      body.set("client_id", id);
      body.set("client_secret", secret);
    } else {
      const basic = Buffer.from(`${formEncoded(id)}:${formEncoded(secret)}`).toString("base64");
      headers.set("authorization", `Basic ${basic}`);
    }
    return { headers, body };
  }

  /** Reads the answer of the token endpoint. No part of it is shown, because it has secrets. */
  #read(text: string, status: number, askedAt: number): Token {
    const answer = parsed(text);
    if (!isPlainObject(answer)) throw this.#unusable(status, `with a body that is not a JSON object`);
    const { access_token: value, token_type: type, expires_in: expires } = answer;
    if (typeof value !== "string" || value === "") {
      throw this.#unusable(status, `with an access_token that is ${kindOf(value)}, not text`);
    }
    if (!/^[!-~]+$/.test(value)) throw this.#unusable(status, "with an access_token that no header can hold");
    if (type !== undefined && !/^bearer$/i.test(String(type))) {
      throw this.#unusable(status, "with a token_type that is not Bearer");
    }
    if (expires === undefined || expires === null) return { value, refreshAt: undefined };
    const life = Number(expires) * 1000;
    if (!/^\d+(?:\.\d+)?$/.test(String(expires)) || !Number.isSafeInteger(Math.ceil(life))) {
      throw this.#unusable(status, `with an expires_in that is ${kindOf(expires)}, not a number of seconds`);
    }
    return { value, refreshAt: askedAt + life - Math.min(life * MARGIN, LONGEST_MARGIN) };
  }

  #unusable(status: number, how: string): MillraceError {
    return this.#error(`answered ${status} ${how}`, "Check the option tokenUrl of oauth2.", { status });
  }

  #refused(status: number, text: string, limit: LimitAnswer): MillraceError {
    const answer = parsed(text);
    const code =
      isPlainObject(answer) && /^[a-z_]{1,40}$/.test(String(answer["error"])) ? answer["error"] : "";
    const retryable = isPassing(status) || limit.isLimit;
    const maxDelay = this.#request.maxRetryDelaySeconds;
    const ofLimit = retryable ? limitHint({ ...limit, maxDelay }) : undefined;
    const hint = ofLimit ?? HINTS[String(code)] ?? hintOf(status);
    return this.#error(`answered ${status}${code === "" ? "" : ` (${code})`}`, hint, {
      status,
      retryable,
      found: excerptOf(text, (said) => this.#request.conceal(said)),
    });
  }

  #error(
    what: string,
    hint: string,
    more: { readonly status?: number; readonly retryable?: boolean; readonly found?: string | undefined },
  ): MillraceError {
    // A query may have secrets.
    const { origin, pathname } = new URL(this.#options.tokenUrl);
    const { status, ...rest } = more;
    const url = origin + pathname;
    return new MillraceError("ACCESS_TOKEN_FAILED", `POST ${url} for an access token ${what}`, {
      where: { url, ...(status === undefined ? {} : { status }) },
      hint,
      ...rest,
    });
  }
}

/** Advice by the error codes of RFC 6749, section 5.2. */
const HINTS: Readonly<Record<string, string>> = {
  invalid_client:
    'Check clientId and clientSecret of oauth2 and the environment variables that they name; some servers want `authentication: "body"`.',
  unauthorized_client: "Allow the client the grant client_credentials at the server.",
  unsupported_grant_type: "Check tokenUrl of oauth2: the server has no grant client_credentials there.",
  invalid_scope: "Check scope of oauth2.",
  invalid_request: "Check scope, audience and params of oauth2 against the server's documentation.",
};

function hintOf(status: number): string {
  if (status >= 300 && status <= 399) return "Set tokenUrl of oauth2 to where the server sends the request.";
  if (status >= 500) return "The server is at fault: ask who runs it.";
  return 'Check tokenUrl, clientId and clientSecret of oauth2; some servers want `authentication: "body"`.';
}

/** Encodes a client's id or secret as RFC 6749, section 2.3.1, demands before base64. */
export function formEncoded(text: string): string {
  return new URLSearchParams([["", text]]).toString().slice(1);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Waits for a promise that goes on if the signal aborts. Rejects with the signal's reason then. */
async function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await promise;
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const stopListening = onAbort(signal, () => reject(signal.reason));
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    stopListening();
  }
}
