/** A decoder of one file. `decode()` without bytes ends the file. It throws if bytes are invalid. */
export interface StrictDecoder {
  decode(bytes?: Uint8Array): string;
}

/** Labels that `TextDecoder` accepts, but as another encoding than the one that they name. */
const NOT_AS_NAMED: ReadonlySet<string> = new Set(["ascii", "us-ascii", "x-user-defined"]);
/** Labels of ISO-8859-1, which `TextDecoder` takes for windows-1252. */
const LATIN1: ReadonlySet<string> = new Set(["latin1", "iso-8859-1", "iso8859-1", "iso_8859-1", "l1"]);
/** The bytes that windows-1252 does not define. `TextDecoder` decodes them as control characters. */
const UNDEFINED_IN_1252 = /[\x81\x8d\x8f\x90\x9d]/;

/** True for an encoding that files can have: `utf-16`, `latin1`, or a label of `TextDecoder`. */
export function isEncoding(label: string): boolean {
  if (NOT_AS_NAMED.has(label.toLowerCase())) return false;
  try {
    new TextDecoder(label);
    return true;
  } catch {
    return false;
  }
}

/** Returns one name for all labels of an encoding. `utf-16` stays: the mark decides. */
export function canonicalEncoding(label: string): string {
  const lower = label.toLowerCase();
  if (LATIN1.has(lower)) return "latin1";
  return lower === "utf-16" ? lower : new TextDecoder(lower).encoding;
}

/** Returns a decoder that refuses bytes which are not valid in the (canonical) encoding. */
export function strictDecoder(encoding: string): StrictDecoder {
  if (encoding === "latin1") {
    return {
      decode: (bytes = new Uint8Array()) =>
        Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1"),
    };
  }
  const decoder = new TextDecoder(encoding, { fatal: true });
  const isWindows = encoding === "windows-1252";
  return {
    decode(bytes) {
      const text = bytes === undefined ? decoder.decode() : decoder.decode(bytes, { stream: true });
      if (isWindows && UNDEFINED_IN_1252.test(text)) throw new TypeError("not windows-1252");
      return text;
    },
  };
}
