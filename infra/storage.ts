import { Duration, RemovalPolicy } from "aws-cdk-lib";
import { AttributeType, BillingMode, type ITable, Table, TableEncryption } from "aws-cdk-lib/aws-dynamodb";
import { AnyPrincipal, Effect, PolicyDocument, PolicyStatement } from "aws-cdk-lib/aws-iam";
import {
  BlockPublicAccess,
  Bucket,
  BucketEncryption,
  type IBucket,
  ObjectOwnership,
} from "aws-cdk-lib/aws-s3";
import type { Construct } from "constructs";
import { LEDGER_ATTRIBUTE } from "../shared/aws/names.ts";
import { accept } from "./accept.ts";
import type { MicroBatchPipelineProps } from "./props.ts";

/** Returns the ledger's table, which is created unless `table` is set. */
export function tableOf(scope: Construct, props: MicroBatchPipelineProps): ITable {
  if (props.table !== undefined) return props.table;
  const { encryptionKey } = props;
  const table = new Table(scope, "Ledger", {
    partitionKey: { name: LEDGER_ATTRIBUTE.partitionKey, type: AttributeType.STRING },
    sortKey: { name: LEDGER_ATTRIBUTE.sortKey, type: AttributeType.STRING },
    timeToLiveAttribute: LEDGER_ATTRIBUTE.expiry,
    billingMode: BillingMode.PAY_PER_REQUEST,
    pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
    ...(encryptionKey === undefined
      ? { encryption: TableEncryption.AWS_MANAGED }
      : { encryption: TableEncryption.CUSTOMER_MANAGED, encryptionKey }),
    removalPolicy: props.removalPolicy ?? RemovalPolicy.RETAIN,
    // The policy's resource is `*` because a table's own policy cannot refer to the table; that
    // would be a circular dependency.
    resourcePolicy: new PolicyDocument({
      statements: [
        new PolicyStatement({
          sid: "TlsOnly",
          effect: Effect.DENY,
          principals: [new AnyPrincipal()],
          actions: ["dynamodb:*"],
          resources: ["*"],
          conditions: { Bool: { "aws:SecureTransport": "false" } },
        }),
      ],
    }),
  });
  return table as ITable;
}

/**
 * Returns the bucket for staged files, partitions and the Arrow table, which is created unless
 * `bucket` is set.
 */
export function bucketOf(scope: Construct, props: MicroBatchPipelineProps): IBucket {
  if (props.bucket !== undefined) return props.bucket;
  const { encryptionKey } = props;
  const bucket = new Bucket(scope, "Store", {
    blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
    objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
    enforceSSL: true,
    minimumTLSVersion: 1.2,
    // Objects that were deleted by mistake can be restored for 30 days.
    versioned: true,
    ...(encryptionKey === undefined
      ? { encryption: BucketEncryption.S3_MANAGED }
      : { encryption: BucketEncryption.KMS, encryptionKey, bucketKeyEnabled: true }),
    removalPolicy: props.removalPolicy ?? RemovalPolicy.RETAIN,
    lifecycleRules: [
      {
        id: "forget",
        noncurrentVersionExpiration: Duration.days(30),
        expiredObjectDeleteMarker: true,
        // No function runs for a whole day.
        abortIncompleteMultipartUploadAfter: Duration.days(1),
      },
    ],
  });
  accept(
    bucket,
    "AwsSolutions-S1",
    "Access logs would need a second bucket and cost more than the pipeline: pass a bucket with them where you need them, or log data events by CloudTrail.",
  );
  return bucket as IBucket;
}
