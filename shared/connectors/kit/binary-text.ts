/**
 * Returns the bytes that a text in base64 or in hexadecimal stands for, or `undefined` if it is not
 * exactly of that form. Node passes over what it cannot decode, so the bytes are encoded again and
 * compared.
 */
export function bytesIn(text: string, form: "base64" | "hex"): Uint8Array | undefined {
  const bytes = Buffer.from(text, form);
  return bytes.toString(form) === (form === "hex" ? text.toLowerCase() : text) ? bytes : undefined;
}
