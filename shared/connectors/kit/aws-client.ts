import { isTransient } from "../../aws/transient.ts";
import type { Runtime } from "../../contract/context.ts";
import { MillraceError } from "../../contract/errors.ts";
import { type RetryPolicy, retry } from "../../contract/retry.ts";

/** How a connector uses one AWS service. `Sdk` is the module of its client. */
export interface AwsService<Client, Sdk> {
  readonly runtime: Pick<Runtime, "random" | "sleep">;
  /** Retries in addition to the SDK's own. Every call must be safe to repeat. */
  readonly retries: RetryPolicy;
  /** Loads the module. Error: `DEPENDENCY_MISSING`. */
  readonly sdk: () => Promise<Sdk>;
  readonly make: (sdk: Sdk) => Client;
  /**
   * Converts an error of the SDK to a `MillraceError`. `call` names the call, such as `GetRecords
   * of shard-1`; `retryable` is true for transient errors.
   */
  readonly toError: (call: string, thrown: Error, retryable: boolean) => MillraceError;
}

/** A client of the AWS SDK that is created when it is first needed. */
export class AwsClient<Client extends { destroy(): void }, Sdk> {
  readonly #service: AwsService<Client, Sdk>;
  #client: Client | undefined;

  /** If `client` is given, it is used instead of the one that `service.make` creates. */
  constructor(service: AwsService<Client, Sdk>, client?: Client) {
    this.#service = service;
    this.#client = client;
  }

  /**
   * Calls `body`. It is retried if the service is busy, if the network fails, or if `body` throws a
   * retryable `MillraceError`. Any other error is converted with `toError`.
   */
  async call<T>(
    call: string,
    body: (client: Client, sdk: Sdk) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    const { runtime, retries, make, toError } = this.#service;
    const sdk = await this.#service.sdk();
    this.#client ??= make(sdk);
    const client = this.#client;
    const attempt = async (): Promise<T> => {
      try {
        return await body(client, sdk);
      } catch (error) {
        throw MillraceError.is(error) ? error : toError(call, error as Error, isTransient(error));
      }
    };
    return await retry(runtime, retries, attempt, { signal });
  }

  /** Closes the client's connections. */
  close(): void {
    this.#client?.destroy();
  }
}
