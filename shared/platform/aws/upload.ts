import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";

/** The object to create. The upload fails if it exists. */
export interface UploadTarget {
  readonly Bucket: string;
  readonly Key: string;
  readonly IfNoneMatch: "*";
}

/**
 * A stream larger than this is uploaded in parts of this size, two at a time. At most three parts
 * are in memory.
 */
const PART_BYTES = 8 * 1024 * 1024;
const PARTS_AT_ONCE = 2;

/**
 * Uploads a stream in one request if it is small, otherwise in parts. An upload that fails is
 * aborted. Throws the errors of S3 and of the stream.
 */
export async function upload(
  client: S3Client,
  target: UploadTarget,
  body: AsyncIterable<Uint8Array>,
): Promise<void> {
  const parts = partsOf(body);
  try {
    const first = (await parts.next()).value ?? new Uint8Array();
    const second = (await parts.next()).value;
    if (second !== undefined) await uploadParts(client, target, [first, second], parts);
    else await client.send(new PutObjectCommand({ ...target, Body: first }));
  } finally {
    await parts.return();
  }
}

/** Yields the stream in parts of `PART_BYTES`. The last part may be shorter, and empty. */
async function* partsOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  let collected: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    let rest = chunk;
    while (bytes + rest.length > PART_BYTES) {
      const room = PART_BYTES - bytes;
      yield Buffer.concat([...collected, rest.subarray(0, room)]);
      rest = rest.subarray(room);
      collected = [];
      bytes = 0;
    }
    collected.push(rest);
    bytes += rest.length;
  }
  yield Buffer.concat(collected);
}

async function uploadParts(
  client: S3Client,
  target: UploadTarget,
  known: readonly Uint8Array[],
  more: AsyncGenerator<Uint8Array, void, void>,
): Promise<void> {
  const { Bucket, Key } = target;
  const isChecked = (await client.config.requestChecksumCalculation()) === "WHEN_SUPPORTED";
  // S3 refuses the checksums of parts whose upload was begun without one.
  const checksum = isChecked ? { ChecksumAlgorithm: "CRC32" as const } : {};
  const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key, ...checksum }));
  const begun = { Bucket, Key, UploadId };
  try {
    const Parts: CompletedPart[] = [];
    await inOrderOfParts(known, more, async (Body, PartNumber) => {
      const command = new UploadPartCommand({ ...begun, ...checksum, PartNumber, Body });
      const { ETag, ChecksumCRC32 } = await client.send(command);
      Parts[PartNumber - 1] = { PartNumber, ETag, ChecksumCRC32 };
    });
    const command = new CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload: { Parts } });
    await client.send(command);
  } catch (error) {
    // If this request fails, vacuum removes the upload.
    await client.send(new AbortMultipartUploadCommand(begun)).catch(() => undefined);
    throw error;
  }
}

/**
 * Calls `send` with each part and its number, from 1, two at a time. After an error it begins no
 * further part, and throws the error when both calls have ended.
 */
async function inOrderOfParts(
  known: readonly Uint8Array[],
  more: AsyncGenerator<Uint8Array, void, void>,
  send: (part: Uint8Array, number: number) => Promise<void>,
): Promise<void> {
  const waiting = [...known];
  const errors: unknown[] = [];
  let number = 0;
  const loop = async () => {
    try {
      while (errors.length === 0) {
        const part = waiting.shift() ?? (await more.next()).value;
        if (!part) return;
        await send(part, ++number);
      }
    } catch (error) {
      errors.push(error);
    }
  };
  await Promise.all(Array.from({ length: PARTS_AT_ONCE }, loop));
  if (errors.length > 0) throw errors[0];
}
