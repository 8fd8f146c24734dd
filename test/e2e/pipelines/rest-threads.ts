import { pipeline } from "millrace";
import { RestApi } from "millrace/connectors/rest-api";

const oauth2 = {
  tokenUrl: process.env["TOKEN_URL"] ?? "",
  clientId: "client",
  clientSecret: { env: "CLIENT_SECRET" },
};

/** Copies twelve hours in twelve partitions, from one API to another, with one client. */
export default pipeline("threads")
  .read.format(RestApi)
  .options({
    url: process.env["COPY_FROM"] ?? "",
    oauth2,
    requestsPerSecond: 10,
    pagination: { type: "none" },
    timeRange: {
      startParam: "since",
      endParam: "until",
      start: "2026-01-01T00:00:00Z",
      until: "2026-01-01T12:00:00Z",
    },
  })
  .schema("since string")
  .write.format(RestApi)
  .options({ url: process.env["COPY_TO"] ?? "", oauth2, requestsPerSecond: 20 })
  .mode("append");
