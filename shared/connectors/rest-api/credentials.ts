import { concealMembers, concealSecrets, type NamedSecret, SECRET_NAME } from "../../contract/conceal.ts";
import type { Runtime } from "../../contract/context.ts";
import { MillraceError } from "../../contract/errors.ts";
import { formEncoded } from "../kit/http/oauth2.ts";
import { type FromEnvironment, isFromEnvironment, secretOf } from "../kit/secrets.ts";
import { hideInUrl, hideSecrets, revealSecrets } from "./placeholders.ts";
import { mapJson } from "./request-body.ts";
import type { RequestOptions } from "./request-options.ts";

/**
 * The name of an access token in a stored link or cursor. It is replaced when a request is sent.
 */
const TOKEN_NAME = "oauth2:token";
const TOKEN_PLACEHOLDER = /(?:\{|%7B)oauth2(?::|%3A)token(?:\}|%7D)/gi;
/** Matches a parameter whose name says that its value is a secret of the API's own making. */
const SECRET_PARAMETER = new RegExp(`([?&][^?&=]*(?:${SECRET_NAME.source})[^?&=]*=)[^&]+`, "gi");
/**
 * Returns true for `{ env: "NAME" }` in a request body, which may have other objects with `env`.
 */
function isEnvironmentOnly(value: unknown): value is FromEnvironment {
  return isFromEnvironment(value) && typeof value.env === "string" && Object.keys(value).length === 1;
}

/**
 * Adds secrets to requests, and removes them from URLs that are stored or shown. Secrets are read
 * from the environment each time they are used.
 */
export class Credentials {
  readonly #options: RequestOptions & { readonly requestBody?: unknown };
  readonly #env: Runtime["env"];
  readonly #tokens: () => readonly string[];

  /** `tokens` returns the access tokens that were used lately. */
  constructor(
    options: RequestOptions & { readonly requestBody?: unknown },
    env: Runtime["env"],
    tokens: () => readonly string[],
  ) {
    this.#options = options;
    this.#env = env;
    this.#tokens = tokens;
  }

  /**
   * Returns the headers of a request. The headers in the options override `defaults` and the access
   * token. Errors: `SECRET_MISSING`, `SECRET_INVALID`.
   */
  headers(defaults: Readonly<Record<string, string>>, token: string | undefined): Headers {
    const headers = new Headers(defaults);
    const { username, password } = new URL(this.#options.url);
    if (username !== "") {
      const basic = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
      headers.set("authorization", `Basic ${Buffer.from(basic).toString("base64")}`);
    }
    const { bearerToken } = this.#options;
    if (token !== undefined) headers.set("authorization", `Bearer ${token}`);
    if (bearerToken !== undefined) this.#set(headers, "authorization", bearerToken, "Bearer ");
    for (const [name, value] of Object.entries(this.#options.headers)) {
      if (isFromEnvironment(value)) this.#set(headers, name, value, "");
      else headers.set(name, value);
    }
    return headers;
  }

  #set(headers: Headers, name: string, from: FromEnvironment, prefix: string): void {
    try {
      headers.set(name, prefix + this.#secret(from));
    } catch (error) {
      if (MillraceError.is(error)) throw error;
      // The error of `Headers` is dropped because it quotes the value.
      throw new MillraceError(
        "SECRET_INVALID",
        `the environment variable ${from.env} cannot be sent as a header`,
        {
          hint: `Look for a line break or another control character in ${from.env}.`,
        },
      );
    }
  }

  /**
   * Returns the URL to request, with its secrets. Only in a link of the API the name of a token
   * stands for it, and not in a URL with values of rows. Error: `SECRET_MISSING`.
   */
  withSecrets(url: URL, token: string | undefined, isLink = true): URL {
    const { href } = url;
    const asked = new URL(isLink ? href.replace(TOKEN_PLACEHOLDER, encodeURIComponent(token ?? "")) : href);
    // fetch rejects a URL with a user name or password; `headers` sends them instead.
    asked.username = "";
    asked.password = "";
    for (const [name, value] of Object.entries(this.#options.query)) {
      if (isFromEnvironment(value)) asked.searchParams.set(name, this.#secret(value));
    }
    return asked;
  }

  /**
   * Returns path and query of a URL, as they can be stored. Parameters that the options set are
   * left out, and an API that repeats a secret elsewhere in its links gets a placeholder there,
   * which `reveal` replaces.
   */
  hideInUrl(url: URL): string {
    const names = Object.entries(this.#options.query).flatMap(([name, value]) =>
      isFromEnvironment(value) ? [name] : [],
    );
    const rest = new URL(url);
    for (const name of names) if (rest.searchParams.has(name)) rest.searchParams.delete(name);
    return hideInUrl(rest, this.#secrets());
  }

  /** Returns a URL for messages, without secrets and without values that look like one. */
  shown(url: URL): string {
    return (url.origin + this.hideInUrl(url)).replace(SECRET_PARAMETER, "$1…");
  }

  /** Removes secrets from a text of the API that is shown to people. */
  conceal(text: string): string {
    const secrets = this.#secrets();
    // OAuth2 encodes a client's secret before base64.
    const encoded = secrets.map(({ name, value }) => ({ name, value: formEncoded(value) }));
    const all = [...secrets, ...encoded, ...this.#plainSecrets()];
    return concealMembers(concealSecrets(text, all));
  }

  /** Returns the URL of the stored path and query, with its secrets. */
  revealUrl(stored: string): URL {
    const link = revealSecrets(stored, this.#secrets(), encodeURIComponent);
    // A path may begin with two slashes, which would be a host otherwise.
    return link.startsWith("/")
      ? new URL(new URL(this.#options.url).origin + link)
      : new URL(link, this.#options.url);
  }

  /**
   * Returns a JSON body with the secret in the place of each `{ env: … }`. Error: `SECRET_MISSING`.
   */
  inBody(body: unknown): unknown {
    return mapJson(body, (value) => (isEnvironmentOnly(value) ? this.#secret(value) : value));
  }

  /** Replaces secrets in a cursor by placeholders. */
  hide(text: string): string {
    return hideSecrets(text, this.#secrets());
  }

  reveal(text: string): string {
    return revealSecrets(text, this.#secrets());
  }

  #secrets(): readonly NamedSecret[] {
    const { query, headers, bearerToken, oauth2, url, requestBody } = this.#options;
    const values = [...Object.values(query), ...Object.values(headers)];
    const all = [...values, bearerToken, oauth2?.clientId, oauth2?.clientSecret].filter(isFromEnvironment);
    mapJson(requestBody, (value) => {
      if (isEnvironmentOnly(value)) all.push(value);
      return value;
    });
    const { password } = new URL(url);
    return [
      ...all.map(({ env }) => ({ name: `env:${env}`, value: this.#env[env] ?? "" })),
      ...this.#tokens().map((value) => ({ name: TOKEN_NAME, value })),
      { name: "url:password", value: decodeURIComponent(password) },
    ].filter(({ value }) => value !== "");
  }

  /** Returns the headers and parameters of the options that are named like secrets. */
  #plainSecrets(): readonly NamedSecret[] {
    const { query, headers } = this.#options;
    return [...Object.entries(query), ...Object.entries(headers)].flatMap(([name, value]) =>
      isFromEnvironment(value) || !SECRET_NAME.test(name)
        ? []
        : // The second is the token of `Bearer TOKEN`.
          [String(value), String(value).replace(/^\w+ +/, "")].map((secret) => ({ name, value: secret })),
    );
  }

  #secret(from: FromEnvironment): string {
    return secretOf(this.#env, from, "RestApi");
  }
}
