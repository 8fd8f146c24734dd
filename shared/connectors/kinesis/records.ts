import type { Schema } from "apache-arrow";
import type { LeftOutFields } from "../../arrow/left-out.ts";
import { MillraceError } from "../../contract/errors.ts";
import type { Row } from "../../contract/stream-reader.ts";
import { jsonRecord } from "../kit/json.ts";
import type { ParsedOptions } from "./options.ts";
import type { StreamRecord } from "./stream.ts";

/** The columns of `format: "raw"`. */
export const RAW_SCHEMA: string =
  "partitionKey string NOT NULL, sequenceNumber string NOT NULL, shardId string NOT NULL, " +
  "approximateArrivalTimestamp timestamp NOT NULL, data binary NOT NULL";

/**
 * The magic bytes of a record in which the Kinesis Producer Library has aggregated many records.
 */
const AGGREGATED = Buffer.from([0xf3, 0x89, 0x9a, 0xc2]);

/**
 * Returns a function that converts a record to a row. Errors: `KINESIS_RECORD_AGGREGATED`,
 * `RECORD_NOT_JSON`.
 */
export function recordReader(
  schema: Schema,
  { format, columns }: Pick<ParsedOptions, "format" | "columns">,
  shardId: string,
  leftOut?: LeftOutFields,
): (record: StreamRecord) => Row {
  if (format === "raw") {
    return ({ partitionKey, sequenceNumber, arrivedAt, data }) => ({
      partitionKey,
      sequenceNumber,
      shardId,
      approximateArrivalTimestamp: new Date(arrivedAt),
      data,
    });
  }
  const toRow = jsonRecord(schema, columns, leftOut);
  return ({ sequenceNumber, data }) => {
    const name = `record ${sequenceNumber} of ${shardId}`;
    if (AGGREGATED.equals(data.subarray(0, AGGREGATED.length))) {
      throw new MillraceError(
        "KINESIS_RECORD_AGGREGATED",
        `${name} holds many records, as the Kinesis Producer Library aggregates them`,
        {
          hint: "Turn aggregation off in the producer (AggregationEnabled=false), or read format: raw and take them apart in a pipeline of your own.",
        },
      );
    }
    return toRow(data, name);
  };
}
