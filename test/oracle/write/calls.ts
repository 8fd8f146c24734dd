import type { JsonValue } from "../../../shared/contract/json.ts";
import type { Call } from "../trace.ts";
import type { Attempt, Run } from "./trace.ts";

/** What both sides of a comparison know of the calls. */

/** What only the step that plans asks a write. */
const REQUIREMENTS: ReadonlySet<string> = new Set([
  "Write.requiredNumPartitions",
  "Write.advisoryPartitionSizeInBytes",
  "Write.requiredDistribution",
  "Write.distributionStrictlyRequired",
  "Write.requiredOrdering",
]);

/** True for the questions about distribution and ordering, and faults in them. */
export function isRequirement({ call }: Call): boolean {
  return REQUIREMENTS.has(call.replace(/^!! \w+ in /, ""));
}

/** True for a call with a row, or with the id of one. */
export const isWrite = ({ call }: Call): boolean =>
  call.startsWith("DeltaWriter.") || /^DataWriter\.write(?!All)/.test(call);

const CHAIN: ReadonlySet<string> = new Set([
  "Table.newWriteBuilder",
  "Table.newRowLevelOperationBuilder",
  "RowLevelOperationBuilder.build",
  "RowLevelOperation.requiredMetadataAttributes",
  "RowLevelOperation.newScanBuilder",
  "RowLevelOperation.newWriteBuilder",
  "SupportsDelta.rowId",
  "SupportsDelta.representUpdateAsDeleteAndInsert",
  "ScanBuilder.pushPredicates",
  "ScanBuilder.pruneColumns",
  "ScanBuilder.build",
  "WriteBuilder.truncate",
  "WriteBuilder.canOverwrite",
  "WriteBuilder.canOverwrite(filters)",
  "WriteBuilder.overwrite",
  "WriteBuilder.overwrite(filters)",
  "WriteBuilder.overwriteDynamicPartitions",
  "WriteBuilder.build",
  ...REQUIREMENTS,
  "Write.supportedCustomMetrics",
  "Write.toBatch",
  "Write.toStreaming",
  "BatchWrite.createBatchWriterFactory",
  "StreamingWrite.createStreamingWriterFactory",
  "BatchWrite.useCommitCoordinator",
  "StreamingWrite.useCommitCoordinator",
]);

/** True for the calls from the table to the factory of the writers, and faults in them. */
export function isOfChain({ call }: Call): boolean {
  return CHAIN.has(call.replace(/^!! \w+ in /, ""));
}

export function isCommit({ call }: Call): boolean {
  return call === "BatchWrite.commit" || call === "StreamingWrite.commit";
}

export function isAbort({ call }: Call): boolean {
  return call === "BatchWrite.abort" || call === "StreamingWrite.abort";
}

export const isRaise = ({ call }: Call): boolean => call.startsWith("!! raise in ");
export const isOnCommit = ({ call }: Call): boolean => call === "BatchWrite.onDataWriterCommit";

/** The messages of a commit or an abort. */
export function messagesOf({ args }: Call): readonly JsonValue[] {
  return (args["messages"] ?? []) as readonly JsonValue[];
}

/** The message of an attempt, if it ended well. */
export function messageOf({ calls }: Attempt): JsonValue {
  const returned = calls.find(({ call }) => call === "DataWriter.commit:return");
  const hasFailed = calls.some(isRaise) || calls.some(({ call }) => call === "DataWriter.abort");
  return returned === undefined || hasFailed ? null : (returned.args["message"] ?? null);
}

/** The epoch that a call of a stream belongs to; 0 in a batch. */
export function epochOf({ args }: Call): number {
  return typeof args["epochId"] === "number" ? args["epochId"] : 0;
}

/**
 * True if the run ended without a commit that was tried, because of its tasks or their messages.
 */
export function isCutShort(run: Run, epoch: number): boolean {
  return run.driver.some((call) => isAbort(call) && epochOf(call) === epoch) && !hasCommit(run, epoch);
}

function hasCommit(run: Run, epoch: number): boolean {
  return run.driver.some((call) => isCommit(call) && epochOf(call) === epoch);
}
