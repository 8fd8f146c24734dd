import type { Runtime } from "../../contract/context.ts";
import { MillraceError } from "../../contract/errors.ts";
import { type FromEnvironment, isFromEnvironment, secretOf } from "../kit/secrets.ts";
import type { RequestOptions } from "./options.ts";

/**
 * Puts secrets into requests, and keeps them out of whatever is stored or shown. They are read from
 * the environment at each use.
 */
export class Credentials {
  readonly #options: RequestOptions;
  readonly #env: Runtime["env"];

  constructor(options: RequestOptions, env: Runtime["env"]) {
    this.#options = options;
    this.#env = env;
  }

  /**
   * The headers of a request; the options' own take the place of `defaults`. Errors:
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
      // The error of Headers quotes the value.
      throw new MillraceError(
        "SECRET_INVALID",
        `the environment variable ${from.env} cannot be sent as a header`,
        {
          hint: `Look for a line break or another control character in ${from.env}.`,
        },
      );
    }
  }

  /** The URL to ask, with its secrets. Error: `SECRET_MISSING`. */
  reveal(url: URL): URL {
    const asked = new URL(url);
    // fetch refuses a URL with credentials; they go into a header.
    asked.username = "";
    asked.password = "";
    for (const [name, value] of Object.entries(this.#options.query)) {
      if (isFromEnvironment(value)) asked.searchParams.set(name, this.#secret(value));
    }
    return asked;
  }

  /**
   * The URL without secrets: without those that were put in, and without those that the API put in
   * under another name.
   */
  conceal(url: URL): URL {
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
