import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";

/** Where a stream goes, if there is no object yet. */
export interface UploadTarget {
  readonly Bucket: string;
  readonly Key: string;
  readonly IfNoneMatch: "*";
}

/**
 * A stream above this goes up in parts of this size, two at a time: no more than three are ever in
 * memory.
 */
const PART_BYTES = 8 * 1024 * 1024;
const PARTS_AT_ONCE = 2;

/**
 * Puts a stream: in one request if it is small, otherwise in parts. An upload that fails is
 * abandoned. Errors are those of S3 and of the stream.
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

/** The stream in parts of one size, of which only the last may be shorter; at least one. */
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
    // One that stays is removed by vacuum.
    await client.send(new AbortMultipartUploadCommand(begun)).catch(() => undefined);
    throw error;
  }
}

/**
 * Calls `send` with each part and its number, from 1, two at a time. After an error no further part
 * is begun; the error is thrown when both calls have ended.
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
