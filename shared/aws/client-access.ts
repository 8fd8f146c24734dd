import type { StoreAccess } from "../contract/object-store.ts";

/** Credentials as the AWS SDK takes them. */
export interface ClientCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  readonly expiration?: Date;
}

/** The settings of an S3 client that uses these credentials instead of the default ones. */
export interface ClientAccess {
  /** The SDK calls a function again some minutes before its credentials end. */
  readonly credentials?: ClientCredentials | (() => Promise<ClientCredentials>);
  readonly region?: string;
  readonly endpoint?: string;
  readonly forcePathStyle?: boolean;
}

/** Returns the settings for `access`, or none without it. */
export function clientAccess(access: StoreAccess | undefined): ClientAccess {
  if (access === undefined) return {};
  const { region, endpoint, pathStyle, refresh } = access;
  return {
    credentials: refresh === undefined ? credentialsOf(access) : refreshed(access, refresh),
    ...(region === undefined ? {} : { region }),
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(pathStyle === undefined ? {} : { forcePathStyle: pathStyle }),
  };
}

/** Returns a function whose first result is `access` itself, and whose others are new. */
function refreshed(
  access: StoreAccess,
  refresh: () => Promise<StoreAccess>,
): () => Promise<ClientCredentials> {
  let first: StoreAccess | undefined = access;
  return async () => {
    const current = first ?? (await refresh());
    first = undefined;
    return credentialsOf(current);
  };
}

function credentialsOf({
  accessKeyId,
  secretAccessKey,
  sessionToken,
  expiresAt,
}: StoreAccess): ClientCredentials {
  return {
    accessKeyId,
    secretAccessKey,
    ...(sessionToken === undefined ? {} : { sessionToken }),
    ...(expiresAt === undefined ? {} : { expiration: new Date(expiresAt) }),
  };
}
