import * as z from "zod";

/** The table and the fields that form its key. */
export interface DynamoDbOptions {
  /** Name or ARN of the table. The table must exist. */
  readonly table: string;
  /**
   * The field of the rows that is the table's partition key. Its values are strings, numbers or
   * bytes, and neither null nor empty.
   */
  readonly partitionKey: string;
  /** The field of the rows that is the table's sort key, if the table has one. */
  readonly sortKey?: string;
  /**
   * The attribute that records which batch wrote an item, so that a late write never replaces a
   * newer item. Default `_millrace`.
   */
  readonly versionAttribute?: string;
  /**
   * If true, null values are left out of the item. Default false: they are stored as DynamoDB's
   * NULL.
   */
  readonly omitNulls?: boolean;
  /** Number of parallel puts for a batch that is too large for one transaction. Default 50. */
  readonly maxConcurrency?: number;
  /**
   * With `.merge()`: the attribute that holds the sequence of an item's last change, as bytes.
   * Default `_sequence`.
   */
  readonly sequenceAttribute?: string;
  /**
   * With `.merge()`: the attribute that is true in an item whose row was deleted. Default
   * `_deleted`.
   */
  readonly deletedAttribute?: string;
  /**
   * With `.merge()`: the attribute of such an item that holds when it is not needed any more, in
   * epoch seconds, for DynamoDB's time to live. Default `_expiresAt`.
   */
  readonly expiresAttribute?: string;
}

const name = z.string().min(1);

export const OPTIONS = z.strictObject({
  table: name,
  partitionKey: name,
  sortKey: name.optional(),
  versionAttribute: name.default("_millrace"),
  omitNulls: z.boolean().default(false),
  maxConcurrency: z.int().positive().default(50),
  sequenceAttribute: name.default("_sequence"),
  deletedAttribute: name.default("_deleted"),
  expiresAttribute: name.default("_expiresAt"),
});

/** The options with their defaults. */
export type ParsedOptions = z.output<typeof OPTIONS>;
