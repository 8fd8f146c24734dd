import type { Runtime } from "../../../../contract/context.ts";
import { type FromEnvironment, secretOf } from "../../../kit/secrets.ts";

/** A request before its credentials are added. */
export interface UnsignedRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

/** How a catalog knows who asks. */
export interface RestAuth {
  /** Returns the headers to send, with those of the request. */
  headers(request: UnsignedRequest): Promise<Readonly<Record<string, string>>>;
  /** Forgets credentials that the catalog has refused. Returns false if there can be no others. */
  renew(): boolean;
  /** The secrets that were used, which no message may show. */
  readonly secrets: readonly string[];
}

/** The name of the connector in errors about secrets. */
export const CONNECTOR = "iceberg";

/** Replaces secrets in a text. */
export function concealed(text: string, secrets: readonly string[]): string {
  return secrets
    .filter((secret) => secret !== "")
    .reduce((shown, secret) => shown.replaceAll(secret, "…"), text);
}

export const NO_AUTH: RestAuth = {
  headers: async ({ headers }) => headers,
  renew: () => false,
  secrets: [],
};

/** A token in an environment variable. It is read for each request, because it may be replaced. */
export class BearerToken implements RestAuth {
  readonly #from: FromEnvironment;
  readonly #env: Runtime["env"];

  constructor(from: FromEnvironment, env: Runtime["env"]) {
    this.#from = from;
    this.#env = env;
  }

  async headers({ headers }: UnsignedRequest): Promise<Readonly<Record<string, string>>> {
    return { ...headers, authorization: `Bearer ${secretOf(this.#env, this.#from, CONNECTOR)}` };
  }

  renew(): boolean {
    return false;
  }

  get secrets(): readonly string[] {
    return [this.#env[this.#from.env] ?? ""];
  }
}
