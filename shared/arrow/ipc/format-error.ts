/**
 * Bytes or buffers that are not valid Arrow data. `column` is the path of the column, if it is
 * known. Callers turn it into a `MillraceError` with the file or the record batch.
 */
export class ArrowFormatError extends Error {
  readonly column: string | undefined;

  constructor(
    problem: string,
    { column, cause }: { readonly column?: string; readonly cause?: unknown } = {},
  ) {
    const place = column === undefined ? "" : `column "${column}": `;
    super(`${place}${problem}`, cause === undefined ? undefined : { cause });
    this.column = column;
  }
}
