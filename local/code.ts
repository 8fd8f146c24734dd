/** A file of a pipeline's code, as it was when the run first loaded it. */
export interface CodeFile {
  readonly url: string;
  readonly format: string;
  readonly source: string;
  /** When the file was last changed, in epoch milliseconds. */
  readonly changedAt: number;
}

/** A specifier in a file of the code, and the file that it stands for. */
export interface CodeImport {
  /** URL of the importing file. Empty if it is not code of the pipeline. */
  readonly from: string;
  readonly specifier: string;
  /** The module system that resolves the specifier. */
  readonly by: "import" | "require";
  readonly url: string;
  readonly format: string | undefined;
}

/** Code that one thread passes to another. */
export interface CodeSnapshot {
  readonly files: readonly CodeFile[];
  readonly imports: readonly CodeImport[];
}
