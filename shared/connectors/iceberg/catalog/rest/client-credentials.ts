import type { Runtime } from "../../../../contract/context.ts";
import { AccessTokens } from "../../../kit/http/oauth2.ts";
import { isFromEnvironment } from "../../../kit/secrets.ts";
import type { ParsedRest } from "../options.ts";
import { CONNECTOR, concealed, type RestAuth, type UnsignedRequest } from "./auth.ts";

type OAuth2Options = NonNullable<ParsedRest["oauth2"]>;

/** Access tokens by OAuth2's client credentials, which all threads of the process share. */
export class ClientCredentials implements RestAuth {
  readonly #options: OAuth2Options;
  readonly #env: Runtime["env"];
  readonly #tokens: AccessTokens;
  #last: string | undefined;

  constructor(
    oauth2: OAuth2Options,
    { uri, timeoutSeconds, maxRetries }: Pick<ParsedRest, "uri" | "timeoutSeconds" | "maxRetries">,
    runtime: Runtime,
  ) {
    const { tokenUrl = `${uri.replace(/\/+$/, "")}/v1/oauth/tokens`, ...options } = oauth2;
    this.#options = oauth2;
    this.#env = runtime.env;
    const longestDelay = 30_000;
    this.#tokens = new AccessTokens(
      { ...options, tokenUrl },
      {
        connector: CONNECTOR,
        policy: { attempts: maxRetries + 1, firstDelay: 500, longestDelay },
        timeoutSeconds,
        maxRetryDelaySeconds: longestDelay / 1000,
        conceal: (text) => concealed(text, this.secrets),
      },
      runtime,
    );
  }

  async headers({ headers }: UnsignedRequest): Promise<Readonly<Record<string, string>>> {
    this.#last = await this.#tokens.token(undefined);
    return { ...headers, authorization: `Bearer ${this.#last}` };
  }

  /** Forgets the token. */
  renew(): boolean {
    if (this.#last !== undefined) this.#tokens.refuse(this.#last);
    return true;
  }

  get secrets(): readonly string[] {
    const { clientId, clientSecret } = this.#options;
    const named = [clientId, clientSecret].filter(isFromEnvironment);
    return [...named.map(({ env }) => this.#env[env] ?? ""), ...this.#tokens.recent];
  }
}
