import { App, Duration, RemovalPolicy, Stack } from "aws-cdk-lib";
import { Schedule } from "aws-cdk-lib/aws-events";
import { MicroBatchPipeline } from "millrace/cdk";

/** The app of cdk.json: the earthquakes example with the feed at EARTHQUAKES_URL. */

const app = new App();
const stack = new Stack(app, "MillraceExample", { description: "Millrace: a week of earthquakes" });

new MicroBatchPipeline(stack, "Earthquakes", {
  entry: "examples/earthquakes/pipeline.ts",
  schedule: Schedule.rate(Duration.minutes(1)),
  environment: {
    EARTHQUAKES_URL:
      process.env["EARTHQUAKES_URL"] ?? "https://earthquake.usgs.gov/fdsnws/event/1/query?format=geojson",
  },
  removalPolicy: RemovalPolicy.DESTROY,
});
