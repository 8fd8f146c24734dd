/**
 * Matches C0 and C1 controls, marks that change the direction of text, and Unicode's line
 * separators. Other invisible characters, such as those that join emoji, are harmless.
 */
const CONTROL = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu;

/**
 * Escapes characters that could control a terminal, except line feeds. The escapes are those of
 * JSON, and in JSON text such characters occur only inside strings, so JSON text stays valid.
 */
export function escapeControls(text: string): string {
  return text.replace(CONTROL, (control) =>
    control === "\n" ? control : `\\u${control.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
