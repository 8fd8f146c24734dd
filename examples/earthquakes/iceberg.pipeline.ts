import { Iceberg } from "millrace/connectors/iceberg";
import { earthquakes } from "./source.ts";

/** The table is in `.millrace/warehouse`, in the catalog `catalog.db`. */
export default earthquakes("earthquakes-iceberg")
  .writeStream.format(Iceberg)
  .options({ table: "demo.earthquakes" })
  .trigger({ availableNow: true });
