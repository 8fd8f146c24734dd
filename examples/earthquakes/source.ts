import { pipeline } from "millrace";
import { RestApi } from "millrace/connectors/rest-api";

/**
 * A week of earthquakes: each batch is a day, each partition six hours. As in the USGS API, the end
 * of a time range is inclusive and the offset starts at 1.
 */
export const earthquakes = (name: string) =>
  pipeline(name)
    .readStream.format(RestApi)
    .options({
      url: process.env["EARTHQUAKES_URL"] ?? "http://127.0.0.1:8000/query",
      schema: `id string NOT NULL, time timestamp NOT NULL, updated timestamp, mag double, magType string, place string,
      longitude double, latitude double, depth double, felt int, tsunami int`,
      rows: "features",
      columns: {
        id: "id",
        time: { path: "properties.time", epoch: "milliseconds" },
        updated: { path: "properties.updated", epoch: "milliseconds" },
        mag: "properties.mag",
        magType: "properties.magType",
        place: "properties.place",
        longitude: "geometry.coordinates.0",
        latitude: "geometry.coordinates.1",
        depth: "geometry.coordinates.2",
        felt: "properties.felt",
        tsunami: "properties.tsunami",
      },
      pagination: { type: "offset", first: 1 },
      pageSize: 50,
      timeRange: {
        startParam: "starttime",
        endParam: "endtime",
        endInclusive: true,
        column: "time",
        start: "2018-01-31T00:00:00Z",
        until: "2018-02-07T02:00:00Z",
        partitionSeconds: 6 * 3600,
        maxPartitionsPerBatch: 4,
      },
    });
