import type { Runtime } from "../../contract/context.ts";
import { MillraceError } from "../../contract/errors.ts";
import { type FromEnvironment, isFromEnvironment, secretOf } from "../kit/secrets.ts";
import type { RequestOptions } from "./options.ts";

/**
 * Adds secrets to requests, and removes them from URLs that are stored or shown. Secrets are read
 * from the environment each time they are used.
 */
export class Credentials {
  readonly #options: RequestOptions;
  readonly #env: Runtime["env"];

  constructor(options: RequestOptions, env: Runtime["env"]) {
    this.#options = options;
    this.#env = env;
  }

  /**
   * Returns the headers of a request. The headers in the options override `defaults`. Errors:
   * `SECRET_MISSING`, `SECRET_INVALID`.
   */
  headers(defaults: Readonly<Record<string, string>>): Headers {
    const headers = new Headers(defaults);
    const { username, password } = new URL(this.#options.url);
    if (username !== "") {
      const basic = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
      headers.set("authorization", `Basic ${Buffer.from(basic).toString("base64")}`);
    }
    const { bearerToken } = this.#options;
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

  /** Returns the URL to request, with its secrets. Error: `SECRET_MISSING`. */
  withSecrets(url: URL): URL {
    const asked = new URL(url);
    // fetch rejects a URL with a user name or password; `headers` sends them instead.
    asked.username = "";
    asked.password = "";
    for (const [name, value] of Object.entries(this.#options.query)) {
      if (isFromEnvironment(value)) asked.searchParams.set(name, this.#secret(value));
    }
    return asked;
  }

  /**
   * Returns the URL without secrets. It also removes parameters whose value is a secret, because an
   * API may repeat a secret under another name in its links.
   */
  withoutSecrets(url: URL): URL {
    const shown = new URL(url);
    shown.username = "";
    shown.password = "";
    const names = Object.entries(this.#options.query).flatMap(([name, value]) =>
      isFromEnvironment(value) ? [name] : [],
    );
    const values = this.#values();
    for (const [name, value] of [...shown.searchParams]) {
      if (names.includes(name) || values.has(value)) shown.searchParams.delete(name);
    }
    return shown;
  }

  #values(): ReadonlySet<string> {
    const { query, headers, bearerToken } = this.#options;
    const all = [...Object.values(query), ...Object.values(headers), bearerToken].filter(isFromEnvironment);
    return new Set(all.flatMap((from) => this.#env[from.env] ?? []).filter((value) => value !== ""));
  }

  #secret(from: FromEnvironment): string {
    return secretOf(this.#env, from, "RestApi");
  }
}
