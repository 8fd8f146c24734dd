import * as z from "zod";
import { isCharset } from "../kit/http/body.ts";
import { type FromEnvironment, fromEnvironment } from "../kit/secrets.ts";

/** The OAuth2 client credentials grant (RFC 6749, section 4.4). */
export interface OAuth2Options {
  /** The http or https URL of the token endpoint. Its origin may be another than that of `url`. */
  readonly tokenUrl: string;
  /** The id of the client. */
  readonly clientId: string | FromEnvironment;
  /** The secret of the client. */
  readonly clientSecret: FromEnvironment;
  /** The scopes of the token, separated by spaces. */
  readonly scope?: string;
  /** The parameter `audience`, which some servers need. */
  readonly audience?: string;
  /**
   * Where the id and the secret are sent: in the `Authorization` header (`basic`), or in the form
   * (`body`). Default `basic`.
   */
  readonly authentication?: "basic" | "body";
  /** Other parameters of the form, such as `resource`. */
  readonly params?: Readonly<Record<string, string>>;
}

/** The URL of the API and how requests are sent, for sources and sinks. */
export interface RestApiRequestOptions {
  /** The http or https URL of the list to read, or to which rows are sent. */
  readonly url: string;
  /** Query parameters of every request. */
  readonly query?: Readonly<Record<string, string | number | boolean | FromEnvironment>>;
  /** Headers of every request. */
  readonly headers?: Readonly<Record<string, string | FromEnvironment>>;
  /** A token that is sent as `Authorization: Bearer …`. */
  readonly bearerToken?: FromEnvironment;
  /**
   * Fetches access tokens and sends them as `Authorization: Bearer …`. A token is fetched again
   * before it expires, and once if the API answers 401. Not together with `bearerToken`.
   */
  readonly oauth2?: OAuth2Options;
  /** Timeout in seconds for one request and its response. Default 30. */
  readonly timeoutSeconds?: number;
  /**
   * Maximum number of retries after status 408, 425, 429 or 5xx, after 403 if the API says that a
   * limit is exhausted, or after a broken connection. Default 3.
   */
  readonly maxRetries?: number;
  /**
   * Longest wait in seconds before a retry. It also limits the wait that a `Retry-After` header
   * asks for; if the API asks for more, the request fails. Default 60.
   */
  readonly maxRetryDelaySeconds?: number;
  /**
   * Maximum size of a response in bytes, after decompression. A page is held in memory, and a
   * larger one is the error `RESPONSE_TOO_LARGE`. Default 128 MiB.
   */
  readonly maxResponseBytes?: number;
  /**
   * Maximum number of requests per second to the origin of `url`, evenly spaced. All tasks of one
   * process share it, and retries count. On AWS each task is a process of its own. Default: no
   * limit.
   */
  readonly requestsPerSecond?: number;
  /**
   * The charset of the responses, such as `windows-1252`. It overrides that of the `Content-Type`
   * header. By default a response without a charset is UTF-8.
   */
  readonly charset?: string;
}

export const REQUEST = {
  url: z.url({ protocol: /^https?$/ }),
  query: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), fromEnvironment])).default({}),
  headers: z.record(z.string(), z.union([z.string(), fromEnvironment])).default({}),
  bearerToken: fromEnvironment.optional(),
  oauth2: z
    .strictObject({
      tokenUrl: z
        .url({ protocol: /^https?$/ })
        .refine((url) => !URL.canParse(url) || new URL(url).username === "", "Must have no user name"),
      clientId: z.union([z.string().min(1), fromEnvironment]),
      clientSecret: fromEnvironment,
      scope: z.string().min(1).optional(),
      audience: z.string().min(1).optional(),
      authentication: z.enum(["basic", "body"]).default("basic"),
      params: z.record(z.string(), z.string()).default({}),
    })
    .optional(),
  timeoutSeconds: z.number().positive().default(30),
  maxRetries: z.int().nonnegative().default(3),
  maxRetryDelaySeconds: z.number().nonnegative().default(60),
  maxResponseBytes: z
    .int()
    .positive()
    .default(128 * 1024 * 1024),
  requestsPerSecond: z.number().positive().optional(),
  charset: z.string().refine(isCharset, "There is no such charset").optional(),
};

/** The options of every request, with their defaults. */
export type RequestOptions = z.output<z.ZodObject<typeof REQUEST>>;
