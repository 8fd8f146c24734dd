import * as z from "zod";

/** Which table, and how its keys are made. */
export interface DynamoDbOptions {
  /** Name or ARN of the table. It must be there. */
  readonly table: string;
  /**
   * Field of the rows that is the table's partition key: a string, a number or bytes; not null, not
   * empty.
   */
  readonly partitionKey: string;
  /** Field of the rows that is the table's sort key, if it has one. */
  readonly sortKey?: string;
  /**
   * Attribute that says which batch wrote an item, so that a late write never replaces a newer one.
   * Default `_millrace`.
   */
  readonly versionAttribute?: string;
  /** True: a null is left out of its item. Default: it is kept as a null. */
  readonly omitNulls?: boolean;
  /** Puts at once, if a batch is too large for one transaction. Default 50. */
  readonly maxConcurrency?: number;
}

const name = z.string().min(1);

export const OPTIONS = z.strictObject({
  table: name,
  partitionKey: name,
  sortKey: name.optional(),
  versionAttribute: name.default("_millrace"),
  omitNulls: z.boolean().default(false),
  maxConcurrency: z.int().positive().default(50),
});

/** Options with their defaults. */
export type ParsedOptions = z.output<typeof OPTIONS>;
