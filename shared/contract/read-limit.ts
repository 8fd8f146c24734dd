/** Ask for everything that is there. (Spark: `ReadAllAvailable`.) */
export class ReadAllAvailable {
  /** Tells the kinds of limit apart. */
  readonly kind = "ReadAllAvailable";

  /** As Spark prints it. */
  toString(): string {
    return "ReadAllAvailable()";
  }
}

/** How much one batch should read at most; a reader that ignores it may give more. (Spark: `ReadLimit`.) */
export type ReadLimit = ReadAllAvailable;
