import type { StoreAccess } from "../contract/object-store.ts";

/** The settings of an S3 client that uses these credentials instead of the default ones. */
export interface ClientAccess {
  readonly credentials?: {
    readonly accessKeyId: string;
    readonly secretAccessKey: string;
    readonly sessionToken?: string;
  };
  readonly region?: string;
  readonly endpoint?: string;
  readonly forcePathStyle?: boolean;
}

/** Returns the settings for `access`, or none without it. */
export function clientAccess(access: StoreAccess | undefined): ClientAccess {
  if (access === undefined) return {};
  const { region, endpoint, pathStyle, ...credentials } = access;
  return {
    credentials,
    ...(region === undefined ? {} : { region }),
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(pathStyle === undefined ? {} : { forcePathStyle: pathStyle }),
  };
}
