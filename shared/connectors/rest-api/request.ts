/** A request body with rows to send. */
export interface Delivery {
  readonly method: "POST" | "PUT" | "PATCH" | "DELETE";
  /** Where it is sent, if that is not the option `url`. */
  readonly url?: URL;
  /** That URL for messages, without values of rows. */
  readonly shownUrl?: string;
  /** Further headers. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Absent if there is none. */
  readonly body?: string;
  readonly contentType: string;
  /** The position of these rows in their partition, counted from 1, for messages. */
  readonly rows?: { readonly first: number; readonly last: number };
  /**
   * The header by which the API recognizes a repeated request. Without it, only PUT requests can be
   * repeated safely.
   */
  readonly idempotency?: { readonly header: string; readonly key: string };
  /** Statuses that count as success because the API already has the rows. */
  readonly alreadyDone: readonly number[];
}

/** The JSON body of a request that only reads. */
export interface BodyQuery {
  /** The option `requestBody`, with `{ env: … }` in the place of secrets. */
  readonly template: unknown;
  /** Values by their paths. They come from the API, so nothing in them stands for a secret. */
  readonly params: Readonly<Record<string, unknown>>;
}

/** A request of a reader or a writer. */
export interface HttpRequest {
  readonly method: "GET" | Delivery["method"];
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** The JSON body of a request that only reads. */
  readonly query?: BodyQuery;
  readonly delivery?: Delivery;
}
