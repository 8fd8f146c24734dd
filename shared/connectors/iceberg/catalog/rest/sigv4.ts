import { createHash, createHmac } from "node:crypto";
import type { SignatureV4 } from "@smithy/signature-v4";
import type { Runtime } from "../../../../contract/context.ts";
import { type AwsIdentity, awsIdentity } from "../../../kit/aws-credentials.ts";
import type { RestAuth, UnsignedRequest } from "./auth.ts";

/** The hash that the signer needs. Node's own is faster than one in JavaScript. */
class Sha256 {
  readonly #hash: ReturnType<typeof createHash> | ReturnType<typeof createHmac>;

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash = secret === undefined ? createHash("sha256") : createHmac("sha256", bytesOf(secret));
  }

  update(chunk: string | ArrayBuffer | ArrayBufferView): void {
    this.#hash.update(bytesOf(chunk));
  }

  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }

  reset(): void {
    throw new TypeError("a hash is used once");
  }
}

function bytesOf(data: string | ArrayBuffer | ArrayBufferView): string | Uint8Array {
  if (typeof data === "string") return data;
  return ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data);
}

/** The headers that are signed. Proxies may add others, or change those. */
const SIGNED: ReadonlySet<string> = new Set(["host", "content-type"]);

export interface SigV4Options {
  /** The name of the service in the signature, such as `s3tables`. */
  readonly service: string;
  /** Default: the region of the AWS SDK. */
  readonly region?: string | undefined;
}

/** Signs requests with AWS Signature Version 4. */
export class SigV4 implements RestAuth {
  readonly #options: SigV4Options;
  readonly #runtime: Pick<Runtime, "now">;
  readonly #identify: () => Promise<AwsIdentity>;
  #signer: Promise<SignatureV4> | undefined;
  #secrets: readonly string[] = [];

  /** `identify` replaces the identity of the AWS SDK. */
  constructor(
    options: SigV4Options,
    runtime: Pick<Runtime, "now">,
    identify: () => Promise<AwsIdentity> = () => awsIdentity(options.region),
  ) {
    this.#options = options;
    this.#runtime = runtime;
    this.#identify = identify;
  }

  async headers({ method, url, headers, body }: UnsignedRequest): Promise<Readonly<Record<string, string>>> {
    const signer = await this.#loaded();
    const signed = await signer.sign(
      {
        method,
        protocol: url.protocol,
        hostname: url.hostname,
        ...(url.port === "" ? {} : { port: Number(url.port) }),
        path: url.pathname,
        query: Object.fromEntries(url.searchParams),
        headers: { ...pick(headers), host: url.host },
        ...(body === undefined ? {} : { body }),
      },
      { signingDate: new Date(this.#runtime.now()) },
    );
    // `fetch` sends the header `host` itself.
    const { host: _, ...added } = signed.headers;
    return { ...headers, ...added };
  }

  /** Forgets the credentials, for they may have been replaced before they expired. */
  renew(): boolean {
    this.#signer = undefined;
    return true;
  }

  get secrets(): readonly string[] {
    return this.#secrets;
  }

  async #loaded(): Promise<SignatureV4> {
    this.#signer ??= this.#load().catch((error: unknown) => {
      this.#signer = undefined;
      throw error;
    });
    return await this.#signer;
  }

  async #load(): Promise<SignatureV4> {
    const { SignatureV4 } = await import("@smithy/signature-v4");
    const { service } = this.#options;
    const identity = await this.#identify();
    const credentials = async () => {
      const { accessKeyId, secretAccessKey, sessionToken } = await identity.credentials();
      this.#secrets = [secretAccessKey, sessionToken ?? ""];
      return { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) };
    };
    return new SignatureV4({
      service,
      region: this.#options.region ?? (await identity.region()),
      credentials,
      sha256: Sha256,
      // The signature covers the body anyway; only S3 wants its hash in a header, too.
      applyChecksum: false,
      // The path of the request is encoded already. All services but S3 want it encoded once more.
      uriEscapePath: service !== "s3",
    });
  }
}

function pick(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => SIGNED.has(name)));
}
