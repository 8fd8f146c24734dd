import { isTransient } from "../../aws/transient.ts";
import type { Runtime } from "../../contract/context.ts";
import { MillraceError } from "../../contract/errors.ts";
import { type RetryPolicy, retry } from "../../contract/retry.ts";

/** How a connector uses one service of AWS; `Sdk` is the module of its client. */
export interface AwsService<Client, Sdk> {
  readonly runtime: Pick<Runtime, "random" | "sleep">;
  /** Beyond the few attempts of the SDK. Every call must be safe to repeat. */
  readonly retries: RetryPolicy;
  /** Loads the module. Error: `DEPENDENCY_MISSING`. */
  readonly sdk: () => Promise<Sdk>;
  readonly make: (sdk: Sdk) => Client;
  /** The error of `call`, such as `GetRecords of shard-1`; `retryable` if it may pass. */
  readonly toError: (call: string, thrown: Error, retryable: boolean) => MillraceError;
}

/** A client of the AWS SDK, which is made when it is first needed. */
export class AwsClient<Client extends { destroy(): void }, Sdk> {
  readonly #service: AwsService<Client, Sdk>;
  #client: Client | undefined;

  /** `client` takes the place of the one that the service makes. */
  constructor(service: AwsService<Client, Sdk>, client?: Client) {
    this.#service = service;
    this.#client = client;
  }

  /**
   * Calls `body`, again if the service is busy or the network broke off, or if it throws a
   * MillraceError that is retryable. Whatever else it throws becomes the service's error.
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
