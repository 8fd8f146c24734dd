import { PolicyStatement } from "aws-cdk-lib/aws-iam";
import { Bucket, type IBucket } from "aws-cdk-lib/aws-s3";
import type { Construct } from "constructs";
import { parseS3Url } from "../shared/aws/s3-url.ts";

/** The steps that run as Lambda functions. */
export type StepName = "Plan" | "Write" | "Finalize" | "Vacuum";

/** A folder outside the pipeline's own store. */
export interface Folder {
  readonly bucket: IBucket;
  /** Key prefix without slashes at its ends; empty for the whole bucket. */
  readonly prefix: string;
}

/** Returns the folder of an `s3://bucket/prefix` path, or `undefined` for any other path. */
export function folderOf(scope: Construct, id: string, path: string | undefined): Folder | undefined {
  const place = parseS3Url(path ?? "");
  return place && { bucket: Bucket.fromBucketName(scope, id, place.bucket), prefix: place.prefix };
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

/** Returns the permission to list below these prefixes; an empty one is the whole bucket. */
export function listing({ bucket }: Folder, ...prefixes: readonly string[]): PolicyStatement {
  const patterns = prefixes.map((prefix) => `${prefix}/*`);
  return new PolicyStatement({
    actions: ["s3:ListBucket"],
    resources: [bucket.bucketArn],
    ...(prefixes.includes("") ? {} : { conditions: { StringLike: { "s3:prefix": patterns } } }),
  });
}

/**
 * Returns the permission to list unfinished uploads. It applies to a whole bucket because the
 * action does not support prefixes.
 */
export function uploads({ bucket }: Folder): PolicyStatement {
  return new PolicyStatement({
    actions: ["s3:ListBucketMultipartUploads"],
    resources: [bucket.bucketArn],
  });
}
