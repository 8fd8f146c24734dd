import { MalformedFileError } from "../kit/malformed.ts";
import { canonicalEncoding } from "./encoding.ts";

/** The number of bytes that `encodingOf` needs, unless the file is shorter. */
export const HEAD_BYTES = 8;

/** The first bytes of compressed files. Formats whose first bytes are plain text are not listed. */
const COMPRESSED: readonly (readonly [name: string, suffix: string | undefined, bytes: readonly number[]])[] =
  [
    ["gzip", ".gz", [0x1f, 0x8b, 0x08]],
    ["zstd", ".zst", [0x28, 0xb5, 0x2f, 0xfd]],
    ["zip", undefined, [0x50, 0x4b, 0x03, 0x04]],
    ["xz", undefined, [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
    ["lz4", undefined, [0x04, 0x22, 0x4d, 0x18]],
  ];

const UTF8_MARK = [0xef, 0xbb, 0xbf];
const LITTLE_MARK = [0xff, 0xfe];
const BIG_MARK = [0xfe, 0xff];

/**
 * Returns the encoding of a file that begins with `head`, if the option `encoding` is `option`.
 * Throws `MalformedFileError` if the first bytes are those of another encoding, or compressed.
 */
export function encodingOf(head: Uint8Array, option: string | undefined): string {
  checkCompression(head);
  const encoding = canonicalEncoding(option ?? "utf-8");
  const marked = markOf(head);
  if (marked === undefined) {
    if (encoding === "utf-16") throw noMark();
    if (option === undefined) checkZeros(head);
    return encoding;
  }
  if (marked === "utf-32") {
    throw new MalformedFileError("it begins with the byte order mark of UTF-32", {
      hint: "UTF-32 is not supported. Write it as UTF-8, such as by `iconv -f UTF-32 -t UTF-8`, under another name.",
    });
  }
  if (marked === encoding || (encoding === "utf-16" && marked !== "utf-8")) return marked;
  throw new MalformedFileError(
    `it begins with the byte order mark of ${marked.toUpperCase()}, and encoding is ${encoding}`,
    { hint: `Set \`encoding: "${marked}"\`.` },
  );
}

function markOf(head: Uint8Array): "utf-8" | "utf-16le" | "utf-16be" | "utf-32" | undefined {
  if (begins(head, UTF8_MARK)) return "utf-8";
  if (begins(head, BIG_MARK)) return "utf-16be";
  if (!begins(head, LITTLE_MARK)) return undefined;
  return head.length >= 4 && head[2] === 0 && head[3] === 0 ? "utf-32" : "utf-16le";
}

/** UTF-16 without a mark is valid UTF-8 if its characters are ASCII: each has a byte of zero. */
function checkZeros(head: Uint8Array): void {
  if (head.length < 2 || (head[0] !== 0 && head[1] !== 0)) return;
  const guess = head[0] === 0 ? "utf-16be" : "utf-16le";
  throw new MalformedFileError("it begins with a byte of zero, as UTF-16 without a byte order mark does", {
    hint: `Set \`encoding: "${guess}"\`, or \`encoding: "utf-8"\` if the zeros belong to the text.`,
  });
}

function noMark(): MalformedFileError {
  return new MalformedFileError("it has no byte order mark, which encoding utf-16 needs", {
    hint: 'Set `encoding: "utf-16le"`, or `encoding: "utf-16be"`.',
  });
}

function checkCompression(head: Uint8Array): void {
  for (const [name, suffix, bytes] of COMPRESSED) {
    if (!begins(head, bytes)) continue;
    throw new MalformedFileError(`it is compressed with ${name}, and its name does not say so`, {
      hint:
        suffix === undefined
          ? `${name} is not supported. Take it away, set \`ignoreMissingFiles: true\`, and run again; put it back decompressed, or compressed with gzip or zstd.`
          : `Take it away, set \`ignoreMissingFiles: true\`, and run again; put it back under a name that ends in \`${suffix}\`, compressed once.`,
    });
  }
}

function begins(head: Uint8Array, bytes: readonly number[]): boolean {
  return bytes.every((byte, i) => head[i] === byte);
}
