import { pipeline } from "millrace";
import { ArrowTable } from "millrace/connectors/arrow-table";
import { RestApi } from "millrace/connectors/rest-api";

export default pipeline("orders")
  .readStream.format(RestApi)
  .options({ url: "http://127.0.0.1:8000/orders", schema: "id bigint" })
  .writeStream.format(ArrowTable)
  .options({ path: "s3://lake/shop/orders" });
