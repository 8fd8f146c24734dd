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
  /** True for a stream of changes, whose tasks may write to the sink themselves. */
  readonly merges?: boolean;
  /** The table that an Iceberg sink writes. */
  readonly iceberg?: IcebergDescription;
}

/** The options of an Iceberg sink that its permissions depend on. None of them is a secret. */
export interface IcebergDescription {
  /** Namespace and name. */
  readonly table: string;
  readonly location?: string;
  /** Absent for the catalog of the home. */
  readonly catalog?: Readonly<Record<string, unknown>>;
}

/**
 * What the process that loads a pipeline's file prints: a description, or the error that occurred.
 */
export type DescriptionAnswer =
  | PipelineDescription
  | { readonly error: Partial<ErrorRecord> & { readonly message: string; readonly cause?: string } };
