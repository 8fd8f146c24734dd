import { isPlainObject } from "../../../../contract/json.ts";
import type { StoreAccess } from "../../../../contract/object-store.ts";

/**
 * Returns the credentials for a table's files in the answer to a load, if the catalog vends any. Of
 * several, those with the longest prefix of the location are used. `config` has others for older
 * clients.
 */
export function vendedAccess(
  answer: Readonly<Record<string, unknown>>,
  location: string,
): StoreAccess | undefined {
  const listed = answer["storage-credentials"];
  const matching = (Array.isArray(listed) ? listed : [])
    .filter(isPlainObject)
    .map(({ prefix, config }) => ({ prefix: String(prefix ?? ""), config }))
    .filter(({ prefix }) => schemeless(location).startsWith(schemeless(prefix)))
    .sort((a, b) => b.prefix.length - a.prefix.length);
  const shared = isPlainObject(answer["config"]) ? answer["config"] : {};
  const own = matching.map(({ config }) => config).find(isPlainObject);
  return accessOf({ ...shared, ...own });
}

/** `s3://`, `s3a://` and `s3n://` are the same place. */
function schemeless(location: string): string {
  return location.replace(/^s3[an]?:\/\//, "s3://");
}

function accessOf(config: Readonly<Record<string, unknown>>): StoreAccess | undefined {
  const text = (key: string): string | undefined => {
    const value = config[key];
    return value === undefined || value === null || value === "" ? undefined : String(value);
  };
  const accessKeyId = text("s3.access-key-id");
  const secretAccessKey = text("s3.secret-access-key");
  if (accessKeyId === undefined || secretAccessKey === undefined) return undefined;
  const sessionToken = text("s3.session-token");
  const region = text("client.region") ?? text("s3.region");
  const endpoint = text("s3.endpoint");
  const pathStyle = text("s3.path-style-access");
  const expiresAt = Number(text("s3.session-token-expires-at-ms"));
  return {
    accessKeyId,
    secretAccessKey,
    ...(sessionToken === undefined ? {} : { sessionToken }),
    ...(region === undefined ? {} : { region }),
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(Number.isSafeInteger(expiresAt) ? { expiresAt } : {}),
    ...(pathStyle === undefined ? {} : { pathStyle: pathStyle.toLowerCase() === "true" }),
  };
}
