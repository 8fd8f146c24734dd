import type { Schema } from "apache-arrow";
import { DataSource } from "../../contract/data-source.ts";
import { MillraceError } from "../../contract/errors.ts";
import type { OptionsSchema } from "../../contract/options/parse.ts";
import type { DataSourceStreamArrowWriter } from "../../contract/stream-writer.ts";
import type { StagedRows } from "../kit/staging.ts";
import { DynamoDbAutoCdc } from "./auto-cdc.ts";
import { type DynamoDbOptions, OPTIONS, type ParsedOptions } from "./options.ts";
import { DynamoDbWriter } from "./writer.ts";

export { type DynamoDbItem, dynamoDbItem } from "../../aws/transaction-item.ts";
export type { DynamoDbOptions } from "./options.ts";

/**
 * A DynamoDB table as a sink. Each row puts one item, identified by its key. If the ledger is a
 * DynamoDB table too, a batch of at most 89 items is written in the ledger's own transaction. A
 * larger batch is written by single puts, which can be repeated safely. Guide: docs/dynamodb.md.
 * Error: `OPTIONS_INVALID`.
 */
export class DynamoDb extends DataSource<ParsedOptions> {
  /** The name for `.format("dynamodb")` once the class is registered. */
  static override readonly name: string = "dynamodb";
  /** The schema that validates `DynamoDbOptions`. */
  static readonly optionsSchema = OPTIONS as OptionsSchema<DynamoDbOptions, ParsedOptions>;

  /**
   * Returns a writer that puts items. It does not support `overwrite`: a table can only be emptied
   * item by item, and its readers would see the half-empty table.
   */
  override streamWriter(schema: Schema, overwrite: boolean): DataSourceStreamArrowWriter<StagedRows> {
    if (overwrite) {
      throw new MillraceError("NOT_SUPPORTED", 'data source "dynamodb" cannot overwrite a table', {
        hint: 'Write .mode("append"), or .outputMode("append") in a stream: a row takes the place of the item with its key. Or write to a new table.',
      });
    }
    return new DynamoDbWriter(schema, this.options, this.runtime);
  }

  /** Returns the columns by which a person knows a row: those of the key. */
  override keyColumns(): readonly string[] {
    const { partitionKey, sortKey } = this.options;
    return sortKey === undefined ? [partitionKey] : [partitionKey, sortKey];
  }

  /** Returns the table that puts the newest change of each key. */
  override autoCdcTable(schema: Schema): DynamoDbAutoCdc {
    return new DynamoDbAutoCdc(schema, this.options, this.runtime);
  }

  /** Returns the same writer as `streamWriter`. */
  override writer(schema: Schema, overwrite: boolean): DataSourceStreamArrowWriter<StagedRows> {
    return this.streamWriter(schema, overwrite);
  }
}
