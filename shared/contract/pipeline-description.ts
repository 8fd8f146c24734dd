import type { ErrorRecord } from "./errors.ts";

/** What the CDK construct must know about a pipeline at synth time. */
export interface PipelineDescription {
  /** Name of the pipeline. */
  readonly name: string;
  /** The option `path` of the sink, if it is set. */
  readonly path?: string;
  /** The option `path` of the source, if it is set. */
  readonly sourcePath?: string;
  /** Name or ARN of the table that a DynamoDB sink writes. */
  readonly sinkTable?: string;
}

/**
 * What the process that loads a pipeline's file prints: a description, or the error that occurred.
 */
export type DescriptionAnswer =
  | PipelineDescription
  | { readonly error: Partial<ErrorRecord> & { readonly message: string; readonly cause?: string } };
