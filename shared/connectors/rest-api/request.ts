/** Rows to send. */
export interface Delivery {
  readonly method: "POST" | "PUT" | "PATCH";
  readonly body: string;
  readonly contentType: string;
  /** Which rows of the partition these are, from 1: for messages. */
  readonly rows: { readonly first: number; readonly last: number };
  /** The header by which the API knows the request again; without it only PUT may be sent twice. */
  readonly idempotency?: { readonly header: string; readonly key: string };
  /** Statuses that count as success. */
  readonly alreadyDone: readonly number[];
}

/** What the requests of readers and writers have in common. */
export interface HttpRequest {
  readonly method: "GET" | Delivery["method"];
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly delivery?: Delivery;
}
