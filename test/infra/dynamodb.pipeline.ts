import { pipeline } from "millrace";
import { DynamoDb } from "millrace/connectors/dynamodb";
import { Files } from "millrace/connectors/files";

export default pipeline("orders")
  .readStream.format(Files)
  .schema("id bigint")
  .options({ path: "s3://landing/orders/new", format: "jsonl" })
  .writeStream.format(DynamoDb)
  .options({ table: process.env["TABLE"] ?? "", partitionKey: "id" });
