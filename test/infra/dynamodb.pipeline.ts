import { pipeline } from "millrace";
import { DynamoDb } from "millrace/connectors/dynamodb";
import { Files } from "millrace/connectors/files";

const { TABLE = "", MERGE_BY } = process.env;

const orders = pipeline("orders")
  .readStream.format(Files)
  .schema("id bigint")
  .options({ path: "s3://landing/orders/new", format: "jsonl" })
  .writeStream.format(DynamoDb)
  .options({ table: TABLE, partitionKey: "id" });

export default MERGE_BY === undefined ? orders : orders.merge({ keys: ["id"], sequenceBy: MERGE_BY });
