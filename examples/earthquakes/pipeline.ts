import { ArrowTable } from "millrace/connectors/arrow-table";
import { earthquakes } from "./source.ts";

export default earthquakes("earthquakes").writeStream.format(ArrowTable).trigger({ availableNow: true });
