import type { SortOrder } from "../../contract/write/distribution.ts";
import type { Expression } from "../../contract/write/predicates.ts";

/**
 * How the tasks of a stage split their rows for the tasks of the next stage. It is recorded in the
 * plan of the stage, so it is a JSON value.
 */
export type ShuffleSpec = ShuffleSize &
  (
    | {
        /** Rows with equal values are in one bucket, of which a bucket number is a hash. */
        readonly kind: "hash";
        readonly expressions: readonly Expression[];
      }
    | {
        /** Rows are split by value, so that the tasks of the next stage are in order. */
        readonly kind: "range";
        readonly ordering: readonly SortOrder[];
      }
    /** Rows are dealt out evenly. */
    | { readonly kind: "even" }
  );

/** How many tasks the next stage has. */
export interface ShuffleSize {
  /** Number of buckets, at least 1. Each task of the next stage gets one or more, in order. */
  readonly buckets: number;
  /** True if each bucket is one task, whatever its size is. */
  readonly isFixed: boolean;
  /** How many bytes a task should get, if the number is not fixed. */
  readonly targetBytes: number;
  /** True if a large bucket may be split over several tasks: then equal values reach them all. */
  readonly maySplit: boolean;
}

/** What a task of a shuffle has written: its commit message, a JSON value. */
export interface ShuffleOutput {
  /** Key of the file in the pipeline's store. */
  readonly key: string;
  /** Size of the file. A reader compares it. */
  readonly bytes: number;
  readonly rows: number;
  /**
   * The parts of the file, in the order of their bytes, each `[bucket, start, end, rows]`. The rows
   * of a bucket may be in several parts. In a range, parts are chunks of sorted runs, and `bucket`
   * is the number of the run.
   */
  readonly parts: readonly (readonly [bucket: number, start: number, end: number, rows: number])[];
  /** In a range: for each part, the sort keys of its first and its last row, in base64. */
  readonly keys?: readonly (readonly [first: string, last: string])[];
}

/**
 * What a task of the next stage reads: parts of files. It is the partition in the plan of that
 * stage, a JSON value.
 */
export interface ShuffledPartition {
  readonly segments: readonly ShuffleSegment[];
  /**
   * In a range: only rows with sort keys from `from` (inclusive) to `to` (exclusive), in base64. An
   * absent bound is open.
   */
  readonly from?: string;
  readonly to?: string;
  /** By what the rows of a range were compared. */
  readonly ordering?: readonly SortOrder[];
  /** Rows and bytes of the segments. In a range, a part of the rows may be left out. */
  readonly rows: number;
  readonly bytes: number;
}

/** A part of a file, in bytes. Parts that lie side by side are one segment. */
export interface ShuffleSegment {
  readonly key: string;
  /** Size of the whole file, so that a file that was cut off is noticed. */
  readonly fileBytes: number;
  readonly start: number;
  readonly end: number;
}

/** How much memory a task may use for rows that it splits or sorts. */
export const SHUFFLE_MEMORY_BYTES: number = 64 * 1024 * 1024;
/** How many bytes a task should get, unless the write says so: as in Spark, 64 MiB. */
export const TARGET_BYTES: number = 64 * 1024 * 1024;
/** The number of buckets unless the write says so: as in Spark, 200. */
export const DEFAULT_BUCKETS = 200;
