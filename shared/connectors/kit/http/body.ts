/** The bytes of a response, decoded. */
export interface Decoded {
  readonly text: string;
  /** True if the body is longer than asked for, so that `text` has only its start. */
  readonly isCut: boolean;
}

/** Why a body is not text. Positions count bytes after decompression, from 0. */
export type NotText =
  | { readonly problem: "unknown charset"; readonly charset: string }
  | { readonly problem: "invalid bytes"; readonly charset: string; readonly position: number }
  /** The body ends in the middle of a character, so it was probably cut. */
  | { readonly problem: "incomplete"; readonly charset: string };

export interface BodyOptions {
  /** Maximum number of bytes to read, after decompression. */
  readonly maxBytes: number;
  /** Overrides the charset of the `Content-Type` header. */
  readonly charset?: string | undefined;
  /** With false, invalid bytes become U+FFFD. Such a text may be shown, but is no data. */
  readonly strict: boolean;
}

/** Returns true if the label of a charset is known, such as `latin1` or `Shift_JIS`. */
export function isCharset(label: string): boolean {
  try {
    return new TextDecoder(label).encoding !== "";
  } catch {
    return false;
  }
}

/**
 * Reads the text of a response in the charset that it says, or as UTF-8 if it says none. A byte
 * order mark of that charset is removed.
 */
export async function readText(response: Response, options: BodyOptions): Promise<Decoded | NotText> {
  if (response.body === null) return { text: "", isCut: false };
  const label = options.charset ?? charsetOf(response.headers.get("content-type")) ?? "utf-8";
  if (options.strict && !isCharset(label)) return { problem: "unknown charset", charset: label };
  const chunks: Uint8Array[] = [];
  let length = 0;
  let isCut = false;
  // Leaving the loop cancels the response, so nothing more is read.
  for await (const chunk of response.body) {
    length += chunk.length;
    isCut = length > options.maxBytes;
    chunks.push(isCut ? chunk.subarray(0, chunk.length - (length - options.maxBytes)) : chunk);
    if (isCut) break;
  }
  if (isCut && options.strict) return { text: "", isCut };
  return decode(chunks, isCharset(label) ? label : "utf-8", options.strict, isCut);
}

function decode(
  chunks: readonly Uint8Array[],
  label: string,
  strict: boolean,
  isCut: boolean,
): Decoded | NotText {
  const charset = exactCharset(label, chunks[0]);
  const decoder = new TextDecoder(charset, { fatal: strict });
  let text = "";
  try {
    if (isAscii(label)) checkAscii(chunks);
    for (const chunk of chunks) text += decoder.decode(chunk, { stream: true });
  } catch {
    return { problem: "invalid bytes", charset: label, position: firstInvalid(chunks, label, charset) };
  }
  try {
    return { text: text + decoder.decode(), isCut };
  } catch {
    return { problem: "incomplete", charset: label };
  }
}

/**
 * The Encoding Standard reads `utf-16` as little-endian. RFC 2781 lets the byte order mark decide,
 * and JSON without one begins with an ASCII character, whose other byte is 0.
 */
function exactCharset(label: string, start: Uint8Array | undefined): string {
  if (!/^\s*(?:utf-?16|ucs-?2|iso-10646-ucs-2|unicode)\s*$/i.test(label)) return label;
  const first = start?.[0];
  return first === 0xfe || first === 0 ? "utf-16be" : "utf-16le";
}

/** The Encoding Standard reads ASCII as windows-1252, which would accept any byte. */
function isAscii(label: string): boolean {
  return /^\s*(?:us-?)?ascii\s*$/i.test(label);
}

function checkAscii(chunks: readonly Uint8Array[]): void {
  for (const chunk of chunks) if (chunk.some((byte) => byte > 0x7f)) throw new RangeError("not ASCII");
}

/** Returns the position of the first character that cannot be decoded. */
function firstInvalid(chunks: readonly Uint8Array[], label: string, charset: string): number {
  const bytes = Buffer.concat(chunks);
  if (isAscii(label)) return bytes.findIndex((byte) => byte > 0x7f);
  let valid = 0;
  let invalid = bytes.length;
  while (invalid - valid > 1) {
    const middle = (valid + invalid) >> 1;
    if (decodes(bytes.subarray(0, middle), charset, true)) valid = middle;
    else invalid = middle;
  }
  // The valid part may end with the start of the invalid character.
  while (valid > 0 && !decodes(bytes.subarray(0, valid), charset, false)) valid--;
  return valid;
}

function decodes(bytes: Uint8Array, charset: string, stream: boolean): boolean {
  try {
    new TextDecoder(charset, { fatal: true }).decode(bytes, { stream });
    return true;
  } catch {
    return false;
  }
}

/** Returns the parameter `charset` of a `Content-Type` header, unless it is empty. */
function charsetOf(contentType: string | null): string | undefined {
  const found = /;\s*charset\s*=\s*(?:"([^"]+)"|([^\s;,"]+))/i.exec(contentType ?? "");
  return found?.[1] ?? found?.[2];
}
