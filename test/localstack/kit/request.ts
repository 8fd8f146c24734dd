/**
 * Sends requests to services whose SDK is not a dependency of the project. LocalStack reads the
 * account and the region from the signature and does not check the signature.
 */

type Json = Readonly<Record<string, unknown>>;

/** Sends a request of the JSON protocol, such as `states` and `AWSStepFunctions.StartExecution`. */
export async function request(service: string, target: string, body: Json): Promise<Json> {
  const response = await send(service, "POST", "/", body, {
    "content-type": "application/x-amz-json-1.0",
    "x-amz-target": target,
  });
  return (await response.json()) as Json;
}

/** Sends a request of the REST protocol, such as Lambda's. Throws if it does not succeed. */
export async function send(
  service: string,
  method: string,
  path: string,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> {
  const scope = `test/20260101/us-east-1/${service}/aws4_request`;
  const response = await fetch(`${process.env["AWS_ENDPOINT_URL"]}${path}`, {
    method,
    headers: {
      "content-type": "application/json",
      authorization: `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host, Signature=none`,
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!response.ok)
    throw new Error(`${service} ${path} answered ${response.status}: ${await response.text()}`);
  return response;
}
