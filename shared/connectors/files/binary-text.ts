import { bytesIn } from "../kit/binary-text.ts";
import { TextMismatch } from "./text-mismatch.ts";

const FORMS = { base64: "base64", hex: "hexadecimal" } as const;

/**
 * Returns the bytes that a text in base64 or in hexadecimal stands for. Text of another form is a
 * `TextMismatch`. Hexadecimal may begin with `\x`, as PostgreSQL writes it.
 */
export function bytesOf(text: string, field: string, form: "base64" | "hex" = "base64"): Uint8Array {
  const digits = form === "hex" && text.startsWith("\\x") ? text.slice(2) : text;
  const bytes = bytesIn(digits, form);
  if (bytes !== undefined) return bytes;
  const other = form === "base64" ? "hex" : "base64";
  throw new TextMismatch(
    field,
    `binary (as ${FORMS[form]})`,
    text,
    `text that is not ${FORMS[form]}`,
    `If it is ${FORMS[other]}, set \`binary: "${other}"\`; or make "${field}" a string in .schema(…).`,
  );
}
