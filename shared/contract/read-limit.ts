/** Ask for everything that is there. (Spark: `ReadAllAvailable`.) */
export class ReadAllAvailable {
  readonly kind = "ReadAllAvailable";

  toString(): string {
    return "ReadAllAvailable()";
  }
}

/** How much one batch should read at most; a reader that ignores it may give more. (Spark: `ReadLimit`.) */
export type ReadLimit = ReadAllAvailable;
