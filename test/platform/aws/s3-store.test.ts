import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { S3Client } from "@aws-sdk/client-s3";
import { describe, expect, it, onTestFinished } from "vitest";
import { runtime } from "../../../local/home.ts";
import { S3Store } from "../../../shared/platform/aws/s3-store.ts";

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/**
 * Returns a store whose requests go to a server of the test. The server may answer like a busy S3,
 * or like an S3 that denies access.
 */
async function storeOn(answer: Answer): Promise<S3Store> {
  const server = createServer((request, response) => {
    request.resume().once("end", () => answer(request, response));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const client = new S3Client({
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    forcePathStyle: true,
    region: "us-east-1",
    credentials: { accessKeyId: "test", secretAccessKey: "test" },
    maxAttempts: 1,
  });
  // The runtime does not really wait between retries.
  return new S3Store({ client, bucket: "bucket", runtime });
}

const failing =
  (times: number, fail: Answer, then: Answer): Answer =>
  (request, response) =>
    times-- > 0 ? fail(request, response) : then(request, response);
const status =
  (code: number, body = ""): Answer =>
  (_request, response) =>
    response.writeHead(code, { etag: '"x"' }).end(body);
const reset: Answer = (request) => request.socket.destroy();

async function* body(): AsyncGenerator<Uint8Array> {
  yield new TextEncoder().encode("rows");
}

describe("a busy S3 or a broken network", () => {
  it.each([
    ["503", status(503)],
    ["429", status(429)],
    ["a connection that is reset", reset],
  ])("The S3 store asks a busy S3 or a broken network again: %s", async (_name, fail) => {
    const store = await storeOn(failing(3, fail, status(200)));
    expect(await store.put("a", new Uint8Array(3))).toBe(true);
  });

  it.each([
    ["503", status(503)],
    ["a connection that is reset", reset],
  ])("The S3 store fails an upload with an error that retries its task: %s", async (_name, fail) => {
    const store = await storeOn(fail);
    await expect(store.put("a", body())).rejects.toMatchObject({ code: "STORE_FAILED", retryable: true });
  });

  it("The S3 store does not ask again if S3 refuses", async () => {
    const store = await storeOn(status(403));
    await expect(store.put("a", body())).rejects.toMatchObject({ code: "STORE_FAILED", retryable: false });
    await expect(store.put("a", new Uint8Array(3))).rejects.toMatchObject({ retryable: false });
  });
});

describe("an object that S3 calls forbidden", () => {
  const listing = (keys: string) =>
    `<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated>${keys}</ListBucketResult>`;
  const forbiddenBut =
    (list: Answer): Answer =>
    (request, response) =>
      request.url?.includes("list-type=2") ? list(request, response) : status(403)(request, response);

  it("An object that S3 calls forbidden is missing if a listing shows that it is", async () => {
    const store = await storeOn(forbiddenBut(status(200, listing(""))));
    expect(await store.get("batches/1.json")).toBeUndefined();
  });

  it("An object that S3 calls forbidden is an error if it exists or may not be listed", async () => {
    const there = "<Contents><Key>batches/1.json</Key><Size>1</Size></Contents>";
    for (const list of [status(200, listing(there)), status(403)]) {
      const store = await storeOn(forbiddenBut(list));
      await expect(store.get("batches/1.json")).rejects.toMatchObject({ code: "STORE_FAILED" });
    }
  });
});

describe("a listing", () => {
  const KEYS = ["a b", "a+b", "a%2Bb", "a\u0001b", "é/ü&<", "a\uFFFEb", "plain"];
  /** Encodes a key as S3 does. */
  const encoded = (key: string) => encodeURIComponent(key).replaceAll("%20", "+").replaceAll("%2F", "/");

  it("A listing has each key as it is, also with characters that XML cannot hold", async () => {
    const asked: (string | null)[] = [];
    const store = await storeOn(({ url = "" }, response) => {
      asked.push(new URL(url, "http://s3").searchParams.get("encoding-type"));
      const contents = KEYS.map((key) => `<Contents><Key>${encoded(key)}</Key></Contents>`).join("");
      response.end(
        `<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>${contents}</ListBucketResult>`,
      );
    });
    expect((await Array.fromAsync(store.list(""))).map(({ key }) => key)).toEqual(KEYS);
    expect(asked).toEqual(["url"]);
  });

  it("A listing of unfinished uploads has each key as it is, and goes on after the last one", async () => {
    const markers: (string | null)[] = [];
    const store = await storeOn(({ url = "" }, response) => {
      const query = new URL(url, "http://s3").searchParams;
      expect(query.get("encoding-type")).toBe("url");
      const key = KEYS[markers.push(query.get("key-marker")) - 1] ?? "";
      const isTruncated = markers.length < KEYS.length;
      response.end(
        `<ListMultipartUploadsResult><EncodingType>url</EncodingType><IsTruncated>${isTruncated}</IsTruncated><NextKeyMarker>${encoded(key)}</NextKeyMarker><Upload><Key>${encoded(key)}</Key><UploadId>u</UploadId></Upload></ListMultipartUploadsResult>`,
      );
    });
    expect((await Array.fromAsync(store.listUnfinished(""))).map(({ key }) => key)).toEqual(KEYS);
    expect(markers).toEqual([null, ...KEYS.slice(0, -1)]);
  });

  it("A listing of a server that does not encode keys is read as it is", async () => {
    const store = await storeOn(
      status(200, "<ListBucketResult><Contents><Key>a+b%20c</Key></Contents></ListBucketResult>"),
    );
    expect((await Array.fromAsync(store.list(""))).map(({ key }) => key)).toEqual(["a+b%20c"]);
  });
});

describe("a stream that goes up in parts", () => {
  const MEBIBYTE = 1024 * 1024;

  /**
   * Returns the purpose of a request in an upload: `PUT`, `begin`, `part 1`, `POST` at the end, or
   * `DELETE`.
   */
  function purposeOf({ method = "", url = "" }: IncomingMessage): string {
    const query = new URL(url, "http://s3").searchParams;
    const number = query.get("partNumber");
    if (number !== null) return `part ${number}`;
    return query.has("uploads") ? "begin" : method;
  }

  const ANSWERS: Readonly<Record<string, string>> = {
    begin: "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>",
    POST: "<CompleteMultipartUploadResult/>",
  };

  /**
   * Returns a store on an S3 that accepts uploads in parts, and the requests that this S3 received.
   * The S3 refuses the requests for which `fails` returns true.
   */
  async function uploading(fails: (purpose: string) => boolean = () => false) {
    const asked: string[] = [];
    const sizes: Record<string, number> = {};
    const conditional: string[] = [];
    const store = await storeOn((request, response) => {
      const purpose = purposeOf(request);
      const { headers } = request;
      asked.push(purpose);
      sizes[purpose] = Number(headers["x-amz-decoded-content-length"] ?? headers["content-length"]);
      if (headers["if-none-match"] !== undefined) conditional.push(purpose);
      response.writeHead(fails(purpose) ? 403 : 200, { etag: '"x"' }).end(ANSWERS[purpose]);
    });
    return { store, asked, sizes, conditional };
  }

  async function* chunks(...mebibytes: readonly number[]): AsyncGenerator<Uint8Array> {
    for (const size of mebibytes) yield new Uint8Array(size * MEBIBYTE);
  }

  it.each([
    ["is empty", []],
    ["is one part", [3, 5]],
  ])("A stream is uploaded in one request if it %s", async (_name, sizes) => {
    const { store, asked, conditional } = await uploading();
    expect(await store.put("a", chunks(...sizes))).toBe(true);
    expect(asked).toEqual(["PUT"]);
    expect(conditional).toEqual(["PUT"]);
  });

  it("A large stream is uploaded in parts of 8 MiB, and its completion is conditional", async () => {
    const { store, asked, sizes, conditional } = await uploading();
    expect(await store.put("a", chunks(5, 20, 1))).toBe(true);
    expect(asked[0]).toBe("begin");
    expect(asked.slice(1, -1).sort()).toEqual(["part 1", "part 2", "part 3", "part 4"]);
    expect(asked.at(-1)).toBe("POST");
    const parts = [1, 2, 3, 4].map((number) => (sizes[`part ${number}`] ?? 0) / MEBIBYTE);
    expect(parts).toEqual([8, 8, 8, 2]);
    expect(conditional).toEqual(["POST"]);
  });

  it("An upload is aborted if a part is refused", async () => {
    const { store, asked } = await uploading((name) => name === "part 2");
    await expect(store.put("a", chunks(8, 8, 8, 8, 8, 8))).rejects.toMatchObject({ code: "STORE_FAILED" });
    expect(asked.at(-1)).toBe("DELETE");
    expect(asked).not.toContain("POST");
    expect(asked).not.toContain("part 5");
  });

  it("An upload is aborted if its stream fails, with the error of the stream", async () => {
    const { store, asked } = await uploading();
    async function* failing() {
      yield* chunks(8, 8, 8);
      throw new Error("the row is no row");
    }
    await expect(store.put("a", failing())).rejects.toThrow("the row is no row");
    expect(asked.at(-1)).toBe("DELETE");
    expect(asked).not.toContain("POST");
  });
});
