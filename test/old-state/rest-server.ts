import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

/** A request that the API has processed. */
export interface Accepted {
  readonly key: string;
  readonly body: string;
}

export interface OldApi {
  readonly url: string;
  /** All requests that were processed, once for each key. */
  readonly accepted: Accepted[];
  stop(): Promise<void>;
}

/**
 * Starts an API that accepts rows and processes each idempotency key once. `before` are requests
 * that it has processed earlier. It answers 400 after `most` requests.
 */
export async function startApi({
  before = [],
  most = Number.POSITIVE_INFINITY,
}: {
  readonly before?: readonly Accepted[];
  readonly most?: number;
}): Promise<OldApi> {
  const accepted = [...before];
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await text(request);
    const key = String(request.headers["idempotency-key"]);
    const known = accepted.find((one) => one.key === key);
    if (known === undefined && accepted.length >= most) response.statusCode = 400;
    else if (known === undefined) accepted.push({ key, body });
    else if (known.body !== body) response.statusCode = 422;
    response.end("[]");
  };
  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/rows`,
    accepted,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
