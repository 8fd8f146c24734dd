/** A request body with rows to send. */
export interface Delivery {
  readonly method: "POST" | "PUT" | "PATCH";
  readonly body: string;
  readonly contentType: string;
  /** The position of these rows in their partition, counted from 1, for messages. */
  readonly rows: { readonly first: number; readonly last: number };
  /**
   * The header by which the API recognizes a repeated request. Without it, only PUT requests can be
   * repeated safely.
   */
  readonly idempotency?: { readonly header: string; readonly key: string };
  /** Statuses that count as success because the API already has the rows. */
  readonly alreadyDone: readonly number[];
}

/** A request of a reader or a writer. */
export interface HttpRequest {
  readonly method: "GET" | Delivery["method"];
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly delivery?: Delivery;
}
