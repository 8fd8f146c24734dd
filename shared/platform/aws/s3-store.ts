import {
  AbortMultipartUploadCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { httpStatusOf, isTransient } from "../../aws/transient.ts";
import type { Runtime } from "../../contract/context.ts";
import { MillraceError } from "../../contract/errors.ts";
import type { ObjectInfo, ObjectStore, UnfinishedUpload } from "../../contract/object-store.ts";
import { type RetryPolicy, retry } from "../../contract/retry.ts";
import { checkKey } from "../../engine/ports/keys.ts";
import { type UploadTarget, upload } from "./upload.ts";

export interface S3StoreOptions {
  readonly client: S3Client;
  readonly bucket: string;
  /** Folder in the bucket, without a slash at its end. Default: the root of the bucket. */
  readonly prefix?: string;
  readonly runtime: Runtime;
}

const DELETED_AT_ONCE = 1000;
/** Number of objects in one page of a listing. */
const STATS_AT_ONCE = 1000;
const RETRY: RetryPolicy = { attempts: 8, firstDelay: 100, longestDelay: 6400 };

/**
 * Objects in an S3 bucket. A put has the condition `If-None-Match: *`. For a multipart upload the
 * condition applies when it is completed.
 */
export class S3Store implements ObjectStore {
  readonly location: string;
  readonly #options: S3StoreOptions;
  readonly #prefix: string;

  constructor(options: S3StoreOptions) {
    const { bucket, prefix } = options;
    this.#options = options;
    this.#prefix = prefix === undefined || prefix === "" ? "" : `${checkKey(prefix)}/`;
    this.location = `s3://${bucket}/${this.#prefix}`.replace(/\/$/, "");
  }

  at(folder: string): ObjectStore {
    return new S3Store({ ...this.#options, prefix: this.#prefix + checkKey(folder) });
  }

  async put(key: string, body: Uint8Array | AsyncIterable<Uint8Array>): Promise<boolean> {
    const target = { ...this.#target(key), IfNoneMatch: "*" } as const;
    try {
      if (body instanceof Uint8Array) {
        await this.#call(key, () =>
          this.#options.client.send(new PutObjectCommand({ ...target, Body: body })),
        );
      } else {
        await this.#upload(key, target, body);
      }
      return true;
    } catch (error) {
      if (httpStatusOf(error) === 412) return false;
      throw error;
    }
  }

  /**
   * The upload is not retried as a whole, because the stream can be read only once. The SDK retries
   * single parts.
   */
  async #upload(key: string, target: UploadTarget, body: AsyncIterable<Uint8Array>): Promise<void> {
    let failure: unknown;
    async function* rememberingFailure(): AsyncGenerator<Uint8Array> {
      try {
        yield* body;
      } catch (error) {
        failure = error;
        throw error;
      }
    }
    try {
      await upload(this.#options.client, target, rememberingFailure());
    } catch (error) {
      // An error of the stream itself is thrown unchanged.
      if (failure !== undefined) throw failure;
      if (httpStatusOf(error) === 412) throw error;
      throw this.#failed(key, error, isRetryable(error));
    }
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    return await this.#read(key);
  }

  async getRange(key: string, start: number, end: number, etag?: string): Promise<Uint8Array | undefined> {
    if (end <= start) return (await this.#read(key, "bytes=0-0", etag)) && new Uint8Array();
    return await this.#read(key, `bytes=${start}-${end - 1}`, etag);
  }

  async *list(prefix: string, options: { readonly startAfter?: string } = {}): AsyncGenerator<ObjectInfo> {
    const { client, bucket } = this.#options;
    const { startAfter } = options;
    const request = {
      Bucket: bucket,
      Prefix: this.#prefix + prefix,
      // LocalStack compares `StartAfter` with the encoded keys, so it would list too many.
      ...(startAfter === undefined
        ? { EncodingType: "url" as const }
        : { StartAfter: this.#prefix + startAfter }),
    };
    // The SDK's paginator ends after its first error, so a retry would look like the end of the
    // list.
    let token: string | undefined;
    do {
      const page = await this.#call(prefix, () =>
        client.send(
          new ListObjectsV2Command(token === undefined ? request : { ...request, ContinuationToken: token }),
        ),
      );
      for (const { Key, Size, LastModified, ETag } of page.Contents ?? []) {
        yield {
          key: this.#relative(listedKey(Key, page.EncodingType)),
          bytes: Size ?? 0,
          modifiedAt: LastModified?.getTime() ?? 0,
          etag: ETag ?? "",
        };
      }
      token = page.NextContinuationToken;
    } while (token !== undefined);
  }

  async stat(keys: readonly string[]): Promise<ReadonlyMap<string, ObjectInfo>> {
    const found = new Map<string, ObjectInfo>();
    const sorted = [...new Set(keys.map(checkKey))].sort();
    for (let i = 0; i < sorted.length; i += STATS_AT_ONCE) {
      const wanted = new Set(sorted.slice(i, i + STATS_AT_ONCE));
      await this.#find(wanted, found);
    }
    return found;
  }

  /**
   * Adds the objects of `wanted` to `found`. A listing answers for all of them, and tells an absent
   * object from a missing right. If most of what it lists is not wanted, each key is asked for.
   */
  async #find(wanted: ReadonlySet<string>, found: Map<string, ObjectInfo>): Promise<void> {
    const missing = new Set(wanted);
    let others = 0;
    const [first = ""] = wanted;
    // The text before the last character sorts directly before the first key.
    const startAfter = first.slice(0, -1);
    for await (const info of this.list(commonPrefix([...wanted]), { startAfter })) {
      if (missing.delete(info.key)) found.set(info.key, info);
      else if (++others >= STATS_AT_ONCE && wanted.size > 1) break;
      if (missing.size === 0) return;
    }
    if (others < STATS_AT_ONCE) return;
    for (const key of missing)
      for await (const info of this.list(key)) {
        if (info.key === key) found.set(key, info);
        break;
      }
  }

  async delete(keys: readonly string[]): Promise<void> {
    const { client, bucket } = this.#options;
    for (let i = 0; i < keys.length; i += DELETED_AT_ONCE) {
      const Objects = keys
        .slice(i, i + DELETED_AT_ONCE)
        .map((key) => ({ Key: this.#prefix + checkKey(key) }));
      const { Errors } = await this.#call(keys[i] ?? "", () =>
        client.send(new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects, Quiet: true } })),
      );
      const [first] = Errors ?? [];
      if (first !== undefined)
        throw this.#failed(this.#relative(first.Key), new Error(first.Code ?? "DeleteObjects"));
    }
  }

  async *listUnfinished(prefix: string): AsyncGenerator<UnfinishedUpload> {
    const { client, bucket } = this.#options;
    let marker: { KeyMarker?: string; UploadIdMarker?: string } | undefined = {};
    while (marker !== undefined) {
      const position: { KeyMarker?: string; UploadIdMarker?: string } = marker;
      const page = await this.#call(prefix, () =>
        client.send(
          new ListMultipartUploadsCommand({
            Bucket: bucket,
            Prefix: this.#prefix + prefix,
            EncodingType: "url",
            ...position,
          }),
        ),
      );
      for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
        const key = this.#relative(listedKey(Key, page.EncodingType));
        yield { key, uploadId: UploadId ?? "", startedAt: Initiated?.getTime() ?? 0 };
      }
      marker = page.IsTruncated
        ? {
            ...(page.NextKeyMarker === undefined
              ? {}
              : { KeyMarker: listedKey(page.NextKeyMarker, page.EncodingType) }),
            ...(page.NextUploadIdMarker === undefined ? {} : { UploadIdMarker: page.NextUploadIdMarker }),
          }
        : undefined;
    }
  }

  async abandon(upload: UnfinishedUpload): Promise<void> {
    const { client } = this.#options;
    const target = { ...this.#target(upload.key), UploadId: upload.uploadId };
    try {
      await this.#call(upload.key, () => client.send(new AbortMultipartUploadCommand(target)));
    } catch (error) {
      // The upload has ended in the meantime.
      if (!(MillraceError.is(error) && httpStatusOf(error.cause) === 404)) throw error;
    }
  }

  async #read(key: string, range?: string, etag?: string): Promise<Uint8Array | undefined> {
    const { client } = this.#options;
    const request = {
      ...this.#target(key),
      ...(range === undefined ? {} : { Range: range }),
      ...(etag === undefined ? {} : { IfMatch: etag }),
    };
    try {
      return await this.#call(key, async () => {
        const { Body } = await client.send(new GetObjectCommand(request));
        return (await Body?.transformToByteArray()) ?? new Uint8Array();
      });
    } catch (error) {
      if (httpStatusOf(error) === 412) return undefined;
      const status = MillraceError.is(error) ? httpStatusOf(error.cause) : undefined;
      if (status === 404) return undefined;
      // For a missing object S3 answers 403 instead of 404 if the role has no permission to list
      // it.
      if (status === 403 && (await this.#isAbsent(key))) return undefined;
      // The range begins at or after the end of the object.
      if (status === 416) return new Uint8Array();
      throw error;
    }
  }

  /** True if a listing shows that the object does not exist. */
  async #isAbsent(key: string): Promise<boolean> {
    try {
      for await (const object of this.list(key)) return object.key !== key;
      return true;
    } catch {
      return false;
    }
  }

  /** Makes a call and retries transient errors. */
  async #call<T>(key: string, call: () => Promise<T>): Promise<T> {
    try {
      return await retry(this.#options.runtime, RETRY, call, { isRetryable });
    } catch (error) {
      if (httpStatusOf(error) === 412) throw error;
      throw this.#failed(key, error, isRetryable(error));
    }
  }

  #failed(key: string, error: unknown, retryable = false): MillraceError {
    if (MillraceError.is(error)) return error;
    const name = error instanceof Error ? error.name : "unknown error";
    return new MillraceError("STORE_FAILED", `S3 failed: ${name}`, {
      where: { path: `${this.location}/${key}` },
      retryable,
      hint: "Check the bucket, the role's rights and the network, then run again: nothing is lost.",
      cause: error,
    });
  }

  #target(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.#options.bucket, Key: this.#prefix + checkKey(key) };
  }

  #relative(key: string | undefined): string {
    return (key ?? "").slice(this.#prefix.length);
  }
}

/** Returns the longest text with which all keys begin. */
function commonPrefix(keys: readonly string[]): string {
  const [first = "", ...rest] = keys;
  let length = first.length;
  for (const key of rest) while (!key.startsWith(first.slice(0, length))) length -= 1;
  return first.slice(0, length);
}

/**
 * Decodes a key of a listing. Listings ask for encoded keys because XML cannot hold all characters
 * that a key may have. S3 writes a space as `+`. The response says whether its keys are encoded.
 */
function listedKey(key = "", encoding: string | undefined): string {
  return encoding === "url" ? decodeURIComponent(key.replaceAll("+", " ")) : key;
}

/**
 * True if S3 is busy, the connection broke, or another conditional put of the key is in progress
 * (409).
 */
function isRetryable(error: unknown): boolean {
  return httpStatusOf(error) === 409 || isTransient(error);
}
