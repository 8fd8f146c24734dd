import { pipeline } from "millrace";
import { RestApi } from "millrace/connectors/rest-api";

/**
 * Copies rows from one API to another: ten rows per partition, two partitions per batch, four rows
 * per request.
 */
export default pipeline("copy")
  .readStream.format(RestApi)
  .options({ url: process.env["COPY_FROM"] ?? "", pageSize: 10, maxPagesPerBatch: 2 })
  .schema("id bigint NOT NULL, word string")
  .writeStream.format(RestApi)
  .options({
    url: process.env["COPY_TO"] ?? "",
    rowsPerRequest: Number(process.env["COPY_ROWS"] ?? 4),
    bearerToken: { env: "COPY_TOKEN" },
  })
  .trigger({ availableNow: true });
