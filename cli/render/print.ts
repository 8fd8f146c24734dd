/** Prints results: to stdout, apart from progress and errors. */
export function printText(text: string): void {
  process.stdout.write(text);
}

export function printLine(text: string): void {
  printText(`${text}\n`);
}

/** One line of `--json`. */
export function printJson(value: unknown): void {
  printLine(JSON.stringify(value));
}
