import { pipeline } from "millrace";
import { Iceberg, type IcebergOptions } from "millrace/connectors/iceberg";
import { Rate } from "millrace/connectors/rate";

const options = JSON.parse(process.env["ICEBERG"] ?? "{}") as Omit<IcebergOptions, "table">;

export default pipeline("orders")
  .readStream.format(Rate)
  .writeStream.format(Iceberg)
  .options({ table: "shop.orders", ...options });
