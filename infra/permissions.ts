import type { ITable } from "aws-cdk-lib/aws-dynamodb";
import { PolicyStatement } from "aws-cdk-lib/aws-iam";
import { Bucket, type IBucket } from "aws-cdk-lib/aws-s3";
import type { Construct } from "constructs";
import { pipelinePartition, tasksPrefix } from "../shared/aws/names.ts";
import { parseS3Url } from "../shared/aws/s3-url.ts";

/** The steps that run as functions. */
export type StepName = "Plan" | "Write" | "Finalize" | "Vacuum";

/** Where a pipeline's data lie. */
export interface Places {
  readonly pipeline: string;
  readonly table: ITable;
  readonly bucket: IBucket;
  /** Of the pipeline's store in the bucket. */
  readonly prefix: string;
  /** An Arrow table elsewhere. */
  readonly lake?: Folder;
  /** Files that are read. */
  readonly source?: Folder;
}

/** A folder outside the pipeline's own store. */
export interface Folder {
  readonly bucket: IBucket;
  /** Without slashes at its ends; empty for the whole bucket. */
  readonly prefix: string;
}

/** The folder of an `s3://bucket/prefix`; nothing for another path. */
export function folderOf(scope: Construct, id: string, path: string | undefined): Folder | undefined {
  const place = parseS3Url(path ?? "");
  return place && { bucket: Bucket.fromBucketName(scope, id, place.bucket), prefix: place.prefix };
}

/** What a step may do, and no more: each statement names its actions, its table or keys, and the prefixes of its objects. */
export function statementsOf(step: StepName, places: Places): readonly PolicyStatement[] {
  const ledger = LEDGER[step](places);
  const objects = OBJECTS[step](places);
  return [
    ...ledger,
    ...objects,
    ...(places.lake === undefined ? [] : LAKE[step](places.lake)),
    ...(places.source === undefined ? [] : SOURCE[step](places.source)),
  ];
}

type Statements = (places: Places) => readonly PolicyStatement[];

/** Head, batches and journal are below `P#…`, the tasks below `T#…`: only Plan and Finalize can move an offset. */
const LEDGER: Readonly<Record<StepName, Statements>> = {
  Plan: (places) => [
    items(places, ["pipeline"], ["GetItem", "PutItem", "UpdateItem", "ConditionCheckItem"]),
    items(places, ["tasks"], ["Query"]),
  ],
  Write: (places) => [items(places, ["tasks"], ["GetItem", "PutItem"])],
  Finalize: (places) => [
    items(places, ["pipeline"], ["GetItem", "UpdateItem", "ConditionCheckItem"]),
    items(places, ["tasks"], ["Query"]),
  ],
  Vacuum: (places) => [items(places, ["pipeline"], ["GetItem"])],
};

/** Tasks stage below `table/data/` (the Arrow table) and `staging/` (other sinks); sources keep what they need below `source/`. */
const OBJECTS: Readonly<Record<StepName, Statements>> = {
  Plan: (places) => [
    objects(places, ["PutObject"], ["batches/*/partitions-*", "batches/*/todo-*"]),
    // A batch that is tried again after its schema was corrected has its partitions copied.
    objects(places, ["GetObject"], ["batches/*/partitions-*"]),
    listing(places, `${places.prefix}/source`),
    objects(places, ["GetObject", "PutObject", "DeleteObject"], ["source/*"]),
  ],
  Write: (places) => [
    objects(places, ["GetObject"], ["batches/*", "source/*"]),
    objects(places, ["PutObject", "AbortMultipartUpload"], ["batches/*/message-*", "batches/*/failure-*"]),
    objects(
      places,
      ["GetObject", "PutObject", "DeleteObject", "AbortMultipartUpload"],
      ["table/data/*", "staging/*"],
    ),
  ],
  Finalize: (places) => [
    listing(places, places.prefix),
    objects(places, ["GetObject"], ["batches/*"]),
    objects(places, ["GetObject", "DeleteObject"], ["source/*"]),
    objects(
      places,
      ["GetObject", "PutObject", "DeleteObject", "AbortMultipartUpload"],
      ["table/*", "staging/*"],
    ),
  ],
  Vacuum: (places) => [
    listing(places, places.prefix),
    uploads(places),
    objects(places, ["GetObject"], ["table/_log/*", "staging/*"]),
    objects(
      places,
      ["DeleteObject", "AbortMultipartUpload"],
      ["batches/*", "table/data/*", "table/_log/*", "staging/*"],
    ),
  ],
};

/** The same on an Arrow table elsewhere. */
const LAKE: Readonly<Record<StepName, (lake: Folder) => readonly PolicyStatement[]>> = {
  Plan: () => [],
  Write: (lake) => [
    objects(lake, ["GetObject", "PutObject", "DeleteObject", "AbortMultipartUpload"], ["data/*"]),
  ],
  Finalize: (lake) => [
    listing(lake, lake.prefix),
    objects(lake, ["GetObject", "PutObject"], ["_log/*"]),
    objects(lake, ["DeleteObject"], ["data/*"]),
  ],
  Vacuum: (lake) => [
    listing(lake, lake.prefix),
    uploads(lake),
    objects(lake, ["GetObject"], ["_log/*"]),
    objects(lake, ["DeleteObject", "AbortMultipartUpload"], ["data/*", "_log/*"]),
  ],
};

/** Files are listed to plan, and read by the tasks; the planner reads one of them for its schema. */
const SOURCE: Readonly<Record<StepName, (source: Folder) => readonly PolicyStatement[]>> = {
  Plan: (source) => [listing(source, source.prefix), objects(source, ["GetObject"], ["*"])],
  Write: (source) => [objects(source, ["GetObject"], ["*"])],
  Finalize: () => [],
  Vacuum: () => [],
};

function items(
  { table, pipeline }: Places,
  parts: readonly ("pipeline" | "tasks")[],
  actions: readonly string[],
): PolicyStatement {
  const keys = parts.map((part) =>
    part === "pipeline" ? pipelinePartition(pipeline) : `${tasksPrefix(pipeline)}*`,
  );
  return new PolicyStatement({
    actions: actions.map((action) => `dynamodb:${action}`),
    resources: [table.tableArn],
    conditions: { "ForAllValues:StringLike": { "dynamodb:LeadingKeys": keys } },
  });
}

export function objects(
  { bucket, prefix }: Folder,
  actions: readonly string[],
  keys: readonly string[],
): PolicyStatement {
  return new PolicyStatement({
    actions: actions.map((action) => `s3:${action}`),
    resources: keys.map((key) => bucket.arnForObjects(prefix === "" ? key : `${prefix}/${key}`)),
  });
}

export function listing({ bucket }: Folder, prefix: string): PolicyStatement {
  return new PolicyStatement({
    actions: ["s3:ListBucket"],
    resources: [bucket.bucketArn],
    ...(prefix === "" ? {} : { conditions: { StringLike: { "s3:prefix": [`${prefix}/*`] } } }),
  });
}

/** Unfinished uploads can only be listed for a whole bucket: the action knows no prefix. */
function uploads({ bucket }: Folder): PolicyStatement {
  return new PolicyStatement({
    actions: ["s3:ListBucketMultipartUploads"],
    resources: [bucket.bucketArn],
  });
}
