import * as z from "zod";

/**
 * How one kind of change is sent. In `url`, `headers` and `body`, `{name}` stands for the value of
 * a column: of a key or of `sequenceBy`, and of an upsert also any other one. `{__sequence}` is the
 * sequence as text in hexadecimal digits, which compares like the sequence.
 */
export interface ChangeRequest {
  /** The method. Default `PUT` for upserts and `DELETE` for deletes. */
  readonly method?: "POST" | "PUT" | "PATCH" | "DELETE";
  /**
   * The URL, or a path from the option `url` on, such as `https://api.example.com/users/{id}`.
   * Values are encoded. Its origin is that of the option `url`, which is the default.
   */
  readonly url?: string;
  /** Further headers. A column in them must not be null. */
  readonly headers?: Readonly<Record<string, string>>;
  /**
   * The body: the `row`, which only an upsert has; a JSON value, in which a text that is only
   * `{name}` becomes the value itself; or `null` for none. Default `row` for upserts, and none for
   * deletes.
   */
  readonly body?: "row" | Readonly<Record<string, unknown>> | null;
}

/** How changes are sent. */
export interface ChangeRequests {
  /** A row that is inserted or replaced. */
  readonly upsert: ChangeRequest;
  /** A row that is deleted. Status 404 or 410 counts as done. */
  readonly delete?: ChangeRequest;
}

const changeRequest = z.strictObject({
  method: z.enum(["POST", "PUT", "PATCH", "DELETE"]).optional(),
  url: z.string().min(1).optional(),
  headers: z.record(z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/), z.string()).optional(),
  body: z.union([z.literal("row"), z.record(z.string(), z.unknown()), z.null()]).optional(),
});

export const CHANGES: z.ZodType<ChangeRequests, ChangeRequests> = z.strictObject({
  upsert: changeRequest,
  delete: changeRequest
    .refine(({ body }) => body !== "row", { path: ["body"], message: "Must not be row: a delete has none" })
    .optional(),
}) as z.ZodType<ChangeRequests, ChangeRequests>;
