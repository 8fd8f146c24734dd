/**
 * The parts of the AWS SDK that a stream needs, in a module that is loaded when they are needed.
 */
export {
  DescribeStreamSummaryCommand,
  GetRecordsCommand,
  GetShardIteratorCommand,
  KinesisClient,
  ListShardsCommand,
} from "@aws-sdk/client-kinesis";
