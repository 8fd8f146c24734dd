import { pipeline } from "millrace";
import { ArrowTable } from "millrace/connectors/arrow-table";
import { Files } from "millrace/connectors/files";

export default pipeline("orders")
  .readStream.format(Files)
  .schema("id bigint")
  .options({ path: "s3://landing/orders/new", format: "jsonl" })
  .writeStream.format(ArrowTable)
  .options({ path: "s3://lake/shop/orders" });
