/** Prints a result to stdout. Progress and errors go to stderr. */
export function printText(text: string): void {
  process.stdout.write(text);
}

export function printLine(text: string): void {
  printText(`${text}\n`);
}

/** Prints one line of `--json`. */
export function printJson(value: unknown): void {
  printLine(JSON.stringify(value));
}
