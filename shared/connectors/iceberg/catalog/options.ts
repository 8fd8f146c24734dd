import * as z from "zod";
import { ONE_SERVER, type PostgresConnection, SERVER } from "../../kit/postgres/server-options.ts";
import { type FromEnvironment, fromEnvironment } from "../../kit/secrets.ts";

/** Iceberg's SQL catalog (Java: `JdbcCatalog`) in one SQLite file. */
export interface SqliteCatalogOptions {
  readonly type: "sqlite";
  /**
   * The file of the catalog, whose name ends with `.db`, or the folder of its `catalog.db`. It must
   * not be on a network drive. Default: `<home>/warehouse`. On AWS it must be set.
   */
  readonly path?: string;
  /**
   * The name of the catalog, by which other programs must open it: in pyiceberg the first argument
   * of `load_catalog`, in Spark the `NAME` of `spark.sql.catalog.NAME`. Default: `millrace`.
   */
  readonly name?: string;
  /** The folder or `s3://` URL of new tables. Default: the folder of the file. */
  readonly warehouse?: string;
}

/** Iceberg's SQL catalog (Java: `JdbcCatalog`) in a PostgreSQL database. */
export interface PostgresCatalogOptions {
  readonly type: "postgres";
  /** The server as a URL, `postgres://user@host:5432/database?sslmode=…`. Excludes `connection`. */
  readonly url?: string | FromEnvironment;
  /** The server as separate values. Excludes `url`. */
  readonly connection?: PostgresConnection;
  /** The environment variable with the password. Default: `PGPASSWORD`, if it is set. */
  readonly password?: FromEnvironment;
  /** The name of the catalog, by which other programs must open it. Default: `millrace`. */
  readonly name?: string;
  /** The folder or `s3://` URL of new tables. All machines must have it at the same path. */
  readonly warehouse: string;
  /** Maximum time in seconds to make a connection. Default 30. */
  readonly connectSeconds?: number;
  /** Maximum time in seconds of one statement. Default 60. */
  readonly statementSeconds?: number;
  /** Maximum time in seconds that a statement waits for locks of other sessions. Default 30. */
  readonly lockSeconds?: number;
}

/** A catalog with the REST interface of Iceberg's specification. */
export interface RestCatalogOptions {
  readonly type: "rest";
  /** The address of the catalog, without `/v1`. */
  readonly uri: string;
  /** The warehouse, if the catalog has several: a name, a location or an ARN. */
  readonly warehouse?: string;
  /** The prefix of all paths. Default: the one that the catalog names in its configuration. */
  readonly prefix?: string;
  /** Further headers of every request. */
  readonly headers?: Readonly<Record<string, string | FromEnvironment>>;
  /** The environment variable with a bearer token. Excludes `oauth2` and `sigv4`. */
  readonly token?: FromEnvironment;
  /** Access tokens by OAuth2's client credentials. Excludes `token` and `sigv4`. */
  readonly oauth2?: RestCatalogOAuth2;
  /** Signs requests with the credentials of the AWS SDK. Excludes `token` and `oauth2`. */
  readonly sigv4?: RestCatalogSigV4;
  /**
   * Who gives access to the files of a table: `vended-credentials` asks the catalog for
   * credentials, and `none` uses those of the process. Default `vended-credentials`.
   */
  readonly accessDelegation?: "vended-credentials" | "none";
  /** Timeout in seconds of one request and its response. Default 60. */
  readonly timeoutSeconds?: number;
  /**
   * Maximum number of retries of a request that is certainly safe to repeat. Default 4.
   */
  readonly maxRetries?: number;
}

/** How an OAuth2 access token is fetched. */
export interface RestCatalogOAuth2 {
  /** The token endpoint. Default: `<uri>/v1/oauth/tokens`. */
  readonly tokenUrl?: string;
  /** The client's id. */
  readonly clientId: string | FromEnvironment;
  /** The environment variable with the client's secret. */
  readonly clientSecret: FromEnvironment;
  /** The scope of the token. Default: `catalog`. */
  readonly scope?: string;
  /** The parameter `audience` of the token request, which some servers need. */
  readonly audience?: string;
  /** Where the client's id and secret are sent: in the body or in a header. Default `body`. */
  readonly authentication?: "basic" | "body";
  /** Further parameters of the token request. */
  readonly params?: Readonly<Record<string, string>>;
}

/** How requests are signed (AWS Signature Version 4). */
export interface RestCatalogSigV4 {
  /** The name of the service in the signature, such as `glue`, `s3tables` or `execute-api`. */
  readonly service: string;
  /** The region. Default: that of the AWS SDK, as of `AWS_REGION`. */
  readonly region?: string;
}

/** A table bucket of Amazon S3 Tables. Credentials are those of the AWS SDK. */
export interface S3TablesCatalogOptions {
  readonly type: "s3tables";
  /** The ARN of the bucket: `arn:aws:s3tables:REGION:ACCOUNT:bucket/NAME`. */
  readonly tableBucketArn: string;
  /**
   * The address of the catalog. Default: `https://s3tables.REGION.amazonaws.com/iceberg`. Set it
   * for an emulator.
   */
  readonly uri?: string;
}

/** The AWS Glue Data Catalog. Credentials are those of the AWS SDK. */
export interface GlueCatalogOptions {
  readonly type: "glue";
  /**
   * The catalog: an account id, or `ACCOUNT:s3tablescatalog/BUCKET` for a table bucket. Default:
   * the catalog of the credentials' account.
   */
  readonly catalogId?: string;
  /** The region. Default: that of the AWS SDK, as of `AWS_REGION`. */
  readonly region?: string;
  /** The `s3://` URL of new tables. Default: the location of the Glue database. */
  readonly warehouse?: string;
  /**
   * The address of the catalog. Default: `https://glue.REGION.amazonaws.com/iceberg`. Set it for an
   * emulator.
   */
  readonly uri?: string;
}

/** The catalog of a table, as `.option("catalog", …)` takes it. */
export type CatalogOptions =
  | SqliteCatalogOptions
  | PostgresCatalogOptions
  | RestCatalogOptions
  | S3TablesCatalogOptions
  | GlueCatalogOptions;

const text = z.string().min(1);
const http = z
  .url({ protocol: /^https?$/ })
  .refine((url) => !URL.canParse(url) || new URL(url).username === "", "Must have no user name");

const sqlite = z.strictObject({
  type: z.literal("sqlite"),
  path: text.optional(),
  name: text.max(255).default("millrace"),
  warehouse: text.optional(),
});

const postgres = z
  .strictObject({
    type: z.literal("postgres"),
    ...SERVER,
    name: text.max(255).default("millrace"),
    warehouse: text,
    statementSeconds: SERVER.statementSeconds.default(60),
    lockSeconds: SERVER.lockSeconds.default(30),
  })
  .refine(...ONE_SERVER);

const rest = z
  .strictObject({
    type: z.literal("rest"),
    uri: http,
    warehouse: text.optional(),
    prefix: text.optional(),
    headers: z.record(text, z.union([z.string(), fromEnvironment])).default({}),
    token: fromEnvironment.optional(),
    oauth2: z
      .strictObject({
        tokenUrl: http.optional(),
        clientId: z.union([text, fromEnvironment]),
        clientSecret: fromEnvironment,
        scope: text.default("catalog"),
        audience: text.optional(),
        authentication: z.enum(["basic", "body"]).default("body"),
        params: z.record(text, z.string()).default({}),
      })
      .optional(),
    sigv4: z.strictObject({ service: text, region: text.optional() }).optional(),
    accessDelegation: z.enum(["vended-credentials", "none"]).default("vended-credentials"),
    timeoutSeconds: z.number().positive().default(60),
    maxRetries: z.int().nonnegative().default(4),
  })
  .refine(({ token, oauth2, sigv4 }) => [token, oauth2, sigv4].filter(Boolean).length <= 1, {
    message: "token, oauth2 and sigv4 exclude each other",
  });

const s3tables = z.strictObject({
  type: z.literal("s3tables"),
  tableBucketArn: z.string().regex(/^arn:[a-z-]+:s3tables:[a-z0-9-]+:\d{12}:bucket\/[a-z0-9-]+$/, {
    message: "Must be arn:aws:s3tables:REGION:ACCOUNT:bucket/NAME",
  }),
  uri: http.optional(),
});

const glue = z.strictObject({
  type: z.literal("glue"),
  catalogId: text.optional(),
  region: text.optional(),
  warehouse: z
    .string()
    .regex(/^s3:\/\/[^/]/, { message: "Must be s3://bucket/prefix" })
    .optional(),
  uri: http.optional(),
});

/** The schema of the option `catalog`. */
export const CATALOG_OPTIONS = z.discriminatedUnion("type", [sqlite, postgres, rest, s3tables, glue]);

/** The options of a catalog with their defaults. */
export type ParsedCatalogOptions = z.output<typeof CATALOG_OPTIONS>;
export type ParsedSqlite = z.output<typeof sqlite>;
export type ParsedPostgres = z.output<typeof postgres>;
export type ParsedRest = z.output<typeof rest>;
export type ParsedS3Tables = z.output<typeof s3tables>;
export type ParsedGlue = z.output<typeof glue>;

/** The catalog that is used if the option is not set. */
export const DEFAULT_CATALOG: ParsedCatalogOptions = CATALOG_OPTIONS.parse({ type: "sqlite" });
