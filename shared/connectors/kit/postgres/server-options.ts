import * as z from "zod";
import { fromEnvironment } from "../secrets.ts";

/** Settings for the encryption of the connection. */
export interface PostgresTls {
  /** Trusted CA certificates, in PEM. */
  readonly ca?: string;
  /** If false, any server certificate is accepted. Default true. */
  readonly rejectUnauthorized?: boolean;
}

/**
 * The server's address and the user. Values that are not set are taken from `PGHOST`, `PGPORT`,
 * `PGDATABASE` and `PGUSER`.
 */
export interface PostgresConnection {
  /** Host of the server. Default: `localhost`. */
  readonly host?: string;
  /** Port of the server. Default: 5432. */
  readonly port?: number;
  /** Name of the database. Default: the user's name. */
  readonly database?: string;
  /** Default: the operating system's user that runs the process. */
  readonly user?: string;
  /** If set, the connection is encrypted. Default: not encrypted. */
  readonly ssl?: boolean | PostgresTls;
}

const name = z.string().min(1);

/** Seconds. A PostgreSQL setting in milliseconds holds 24 days. */
export const SECONDS = z.number().min(0.001).max(2_000_000);

/** The options that tell where a server is and how long to wait for it. */
export const SERVER = {
  url: z.union([z.url({ protocol: /^postgres(ql)?$/ }), fromEnvironment]).optional(),
  connection: z
    .strictObject({
      host: name.optional(),
      port: z.int().min(1).max(65_535).optional(),
      database: name.optional(),
      user: name.optional(),
      ssl: z
        .union([
          z.boolean(),
          z.strictObject({ ca: name.optional(), rejectUnauthorized: z.boolean().optional() }),
        ])
        .optional(),
    })
    .optional(),
  password: fromEnvironment.optional(),
  connectSeconds: SECONDS.default(30),
  statementSeconds: SECONDS.default(600),
  lockSeconds: SECONDS.default(60),
};

/** The check of options with `SERVER`, as arguments of zod's `refine`. */
export const ONE_SERVER = [
  ({ url, connection }: { readonly url?: unknown; readonly connection?: unknown }): boolean =>
    url === undefined || connection === undefined,
  { message: "url and connection exclude each other" },
] as const;

/** The options of a server with their defaults. */
export type ServerOptions = z.output<z.ZodObject<typeof SERVER>> & {
  /** Maximum time in seconds that a transaction which writes may be idle between two statements. */
  readonly idleSeconds: number;
};
