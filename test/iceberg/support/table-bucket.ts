import { runtime } from "../../../local/home.ts";
import { SigV4 } from "../../../shared/connectors/iceberg/catalog/rest/sigv4.ts";

/**
 * Creates a table bucket in MiniStack. The request is signed, because MiniStack finds the service
 * in the signature. The credentials are those of the environment.
 */
export async function createTableBucket(port: number, name: string): Promise<void> {
  const url = new URL(`http://127.0.0.1:${port}/buckets`);
  const body = JSON.stringify({ name });
  const signer = new SigV4({ service: "s3tables", region: "us-east-1" }, runtime);
  const headers = await signer.headers({
    method: "PUT",
    url,
    headers: { "content-type": "application/json" },
    body,
  });
  const response = await fetch(url, { method: "PUT", headers, body });
  if (!response.ok) throw new Error(`MiniStack answered ${response.status}: ${await response.text()}`);
}
