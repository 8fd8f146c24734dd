import { clearLine, cursorTo } from "node:readline";
import { styleText } from "node:util";
import { escapeControls } from "../../shared/contract/controls.ts";

/**
 * The only module of Millrace that writes to the terminal. Names, rows, offsets, paths and messages
 * come from outside, so every character that could control the terminal is escaped here.
 */

/** A colour or another text style. */
export type Style = Parameters<typeof styleText>[0];

/** Text with a style. Only `write` turns the style into an escape sequence. */
export interface Styled {
  readonly style: Style;
  readonly text: string;
}

/** Text to print: plain text, text with a style, or a sequence of both. */
export type Text = string | Styled | readonly Text[];

export function styled(style: Style, text: string): Styled {
  return { style, text };
}

/** Returns the text without its styles. */
export function plainText(text: Text): string {
  if (typeof text === "string") return text;
  return "style" in text ? text.text : text.map(plainText).join("");
}

/** Like `escapeControls`, but the result is one line: line feeds and tabs become `\n` and `\t`. */
export function printable(text: string): string {
  return escapeControls(text.replaceAll("\n", "\\n").replaceAll("\t", "\\t"));
}

// Bound before the user's code is loaded, which may replace these methods.
const writeOut = process.stdout.write.bind(process.stdout);
const writeErr = process.stderr.write.bind(process.stderr);

/** Escapes the text and applies its styles, if the stream is a terminal. */
function render(text: Text, stream: NodeJS.WriteStream): string {
  if (typeof text === "string") return escapeControls(text);
  // `styleText` respects NO_COLOR and FORCE_COLOR.
  if ("style" in text)
    return styleText(text.style, escapeControls(text.text), { stream, validateStream: true });
  return text.map((part) => render(part, stream)).join("");
}

/** Prints a result to stdout. Returns false if the caller should wait for `drained`. */
export function printText(text: Text): boolean {
  return writeOut(render(text, process.stdout));
}

/** Prints a line of a result to stdout. */
export function printLine(text: Text): boolean {
  return printText([text, "\n"]);
}

/** True if a person reads stdout, and not a program. */
export function isTerminal(): boolean {
  return process.stdout.isTTY;
}

/** Number of characters in a line of the terminal, or 80 if stdout is none. */
export function outputWidth(): number {
  return process.stdout.columns ?? 80;
}

/** Prints one line of `--json`. */
export function printJson(value: unknown): boolean {
  return printLine(JSON.stringify(value));
}

/** Resolves when stdout accepts more text. */
export async function drained(): Promise<void> {
  await new Promise((resolve) => process.stdout.once("drain", resolve));
}

/** Prints progress or an error to stderr. */
export function tellText(text: Text): void {
  writeErr(render(text, process.stderr));
}

/** Prints a line of progress or an error to stderr. */
export function tellLine(text: Text): void {
  tellText([text, "\n"]);
}

/** A line on stderr that can be replaced. It is shown only if stderr is a terminal. */
export const statusLine = {
  get isShown(): boolean {
    return process.stderr.isTTY;
  },
  get width(): number {
    return process.stderr.columns ?? 80;
  },
  draw(text: Text): void {
    statusLine.clear();
    tellText(text);
  },
  clear(): void {
    clearLine(process.stderr, 0);
    cursorTo(process.stderr, 0);
  },
};

/**
 * Sends what the user's code prints to stderr, because stdout is for results. Returns a function
 * that ends this. What the user's code prints is its own matter, and is not escaped.
 */
export function reserveStdout(): () => void {
  const { write } = process.stdout;
  process.stdout.write = process.stderr.write.bind(process.stderr) as typeof process.stdout.write;
  return () => {
    process.stdout.write = write;
  };
}

/** Calls `onBroken` if stdout fails, for example because its reader has closed it. */
export function watchOutput(onBroken: (error: NodeJS.ErrnoException) => void): void {
  process.stdout.on("error", onBroken);
  // A run whose stderr was closed still does its work.
  process.stderr.on("error", () => undefined);
}
