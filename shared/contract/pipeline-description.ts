import type { ErrorRecord } from "./errors.ts";

/** What a construct has to know of a pipeline before it is deployed. */
export interface PipelineDescription {
  /** Its identity in the ledger. */
  readonly name: string;
  /** The option `path` of its sink, if it is set. */
  readonly path?: string;
  /** The option `path` of its source, if it is set. */
  readonly sourcePath?: string;
}

/** What the process prints that loads a pipeline to describe it. */
export type DescriptionAnswer =
  | PipelineDescription
  | { readonly error: Partial<ErrorRecord> & { readonly message: string; readonly cause?: string } };
