import {
  type AttributeValue,
  ConditionalCheckFailedException,
  type DynamoDBClient,
  PutItemCommand,
  type PutItemCommandInput,
} from "@aws-sdk/client-dynamodb";
import type { Schema } from "apache-arrow";
import type { CommittedBatch } from "../../contract/batch-identity.ts";
import { isCommitted } from "../../contract/committed-batch.ts";
import type { BatchContext, Runtime, TaskContext } from "../../contract/context.ts";
import { MillraceError } from "../../contract/errors.ts";
import type { NamedRow } from "../../contract/stream-reader.ts";
import type {
  NewestBatchContext,
  SupportsNewestBatch,
  SupportsTargetName,
} from "../../contract/stream-writer.ts";
import type { AutoCdcInfo, SupportsAutoCdc } from "../../contract/write/auto-cdc.ts";
import {
  DeltaStreamingWrite,
  type DeltaStreamingWriterFactory,
  DeltaWrite,
  type DeltaWriteBuilder,
  DeltaWriter,
} from "../../contract/write/row-level.ts";
import type { TableCapability } from "../../contract/write/table.ts";
import type { AwsClient } from "../kit/aws-client.ts";
import { InFlight } from "../kit/in-flight.ts";
import { clientOf, tableBusy } from "./client.ts";
import { type Item, ItemMaker } from "./items.ts";
import { committedBatchOf, MarkerItem, newestOf } from "./marker.ts";
import type { ParsedOptions } from "./options.ts";

/** How often the marker is read again because another process has changed it in between. */
const MAX_CONFLICTS = 20;

/**
 * Puts the newest change of each key. An item keeps the sequence of its last change, and a deleted
 * one stays as a tombstone. Tasks put items themselves: a put only takes effect if its sequence is
 * greater, so the items are the same however often and in whichever order changes are put, also by
 * an attempt that was given up.
 */
export class DynamoDbAutoCdc implements SupportsAutoCdc, SupportsNewestBatch, SupportsTargetName {
  readonly name: string;
  readonly capabilities: ReadonlySet<TableCapability> = new Set<TableCapability>([
    "STREAMING_WRITE",
    "ACCEPT_ANY_SCHEMA",
  ]);
  readonly #options: ParsedOptions;
  readonly #client: AwsClient<DynamoDBClient, undefined>;
  readonly #marker: MarkerItem;

  /** `schema` has the columns of the stream. Error: `OPTIONS_INVALID`. */
  constructor(schema: Schema, options: ParsedOptions, runtime: Runtime) {
    this.name = options.table;
    this.#options = options;
    this.#client = clientOf(options.table, runtime);
    this.#marker = new MarkerItem(options, new ItemMaker(schema, options), this.#client);
  }

  /** Errors: `OPTIONS_INVALID`, `WRITE_NOT_SUPPORTED`. */
  newAutoCdcWriteBuilder(info: AutoCdcInfo): DeltaWriteBuilder {
    checkInfo(info, this.#options);
    const parts: Parts = {
      options: this.#options,
      items: new ItemMaker(info.schema, this.#options),
      client: this.#client,
      marker: this.#marker,
      expiresAt: Math.ceil((info.plannedAt + info.tombstonesKeptMilliseconds) / 1000),
    };
    return { build: () => new DynamoDbAutoCdcWrite(parts) };
  }

  async newestBatch({ pipeline, follows }: NewestBatchContext): Promise<CommittedBatch | undefined> {
    return newestOf(await this.#marker.read(pipeline), follows);
  }

  targetName(): string {
    return this.name;
  }
}

/** What a write of changes is made of. */
interface Parts {
  readonly options: ParsedOptions;
  readonly items: ItemMaker;
  readonly client: AwsClient<DynamoDBClient, undefined>;
  readonly marker: MarkerItem;
  /** When tombstones of this batch may be removed, in epoch seconds. */
  readonly expiresAt: number;
}

function checkInfo({ storedAsScdType, schema, rowIdSchema }: AutoCdcInfo, options: ParsedOptions): void {
  const { table, partitionKey, sortKey, sequenceAttribute, deletedAttribute, expiresAttribute } = options;
  if (storedAsScdType === 2) {
    throw new MillraceError("WRITE_NOT_SUPPORTED", `table "${table}" cannot keep changes as SCD type 2`, {
      hint: "A table of DynamoDB has one item for a key. Remove storedAsScdType, or write to postgres.",
    });
  }
  const invalid = (problem: string, hint: string) =>
    new MillraceError("OPTIONS_INVALID", `dynamodb cannot merge: ${problem}`, { hint });
  const own = [partitionKey, ...(sortKey === undefined ? [] : [sortKey])];
  const given = (rowIdSchema?.fields ?? []).map(({ name }) => name);
  if (own.toSorted().join() !== given.toSorted().join()) {
    throw invalid(
      `the keys of the merge are ${given.join(", ")}, and those of the table ${own.join(", ")}`,
      "Name the table's partition key, and its sort key if it has one, in keys.",
    );
  }
  const added = [sequenceAttribute, deletedAttribute, expiresAttribute];
  const taken = schema.fields.find(({ name }) => added.includes(name));
  if (taken === undefined) return;
  throw invalid(
    `the rows have a field "${taken.name}", which is an attribute that the merge adds`,
    "Choose another name by sequenceAttribute, deletedAttribute or expiresAttribute.",
  );
}

class DynamoDbAutoCdcWrite extends DeltaWrite {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    super();
    this.#parts = parts;
  }

  override get description(): string {
    return `DynamoDB table ${this.#parts.options.table}`;
  }

  override toStreaming(): DeltaStreamingWrite<unknown> {
    return new DynamoDbAutoCdcStreamingWrite(this.#parts) as DeltaStreamingWrite<unknown>;
  }
}

class DynamoDbAutoCdcStreamingWrite extends DeltaStreamingWrite<null> {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    super();
    this.#parts = parts;
  }

  override createStreamingWriterFactory(): DeltaStreamingWriterFactory<null> {
    const createWriter = (_partition: number, _taskId: number, _epoch: number, task: TaskContext) =>
      new DynamoDbChangesWriter(this.#parts, task);
    return { createWriter };
  }

  /** Attempts may put the same changes side by side. */
  override useCommitCoordinator(): boolean {
    return false;
  }

  /** Records the batch, whose items are all in the table. Errors: those of `isCommitted`. */
  override async commit(_epochId: number, _messages: readonly null[], batch: BatchContext): Promise<void> {
    const { marker, options } = this.#parts;
    const { pipeline, follows } = batch;
    for (let conflicts = 0; conflicts < MAX_CONFLICTS; conflicts++) {
      const read = await marker.read(pipeline);
      if (isCommitted(batch, newestOf(read, follows))) return;
      const sequence = (read?.sequence ?? 0) + 1;
      if (await marker.write(pipeline, read, { sequence, last: committedBatchOf(batch) })) return;
    }
    throw tableBusy(options.table, pipeline, MAX_CONFLICTS);
  }

  /** Changes that were put stay. The batch is replayed, and puts them again without effect. */
  override abort(): void {}
}

/** Puts the changes of one task attempt, several at once: no two of them have one key. */
class DynamoDbChangesWriter extends DeltaWriter<null> {
  readonly #parts: Parts;
  readonly #task: TaskContext;
  readonly #puts: InFlight;
  #changes = 0;

  constructor(parts: Parts, task: TaskContext) {
    super();
    this.#parts = parts;
    this.#task = task;
    this.#puts = new InFlight(parts.options.maxConcurrency);
  }

  override async update(metadata: NamedRow | null, _id: NamedRow, row: NamedRow): Promise<void> {
    await this.#put(this.#parts.items.itemOf(row, ++this.#changes), metadata);
  }

  override async delete(metadata: NamedRow | null, id: NamedRow): Promise<void> {
    const { items, options, expiresAt } = this.#parts;
    const tombstone = {
      ...items.keyItemOf(id, ++this.#changes),
      [options.deletedAttribute]: { BOOL: true },
      [options.expiresAttribute]: { N: String(expiresAt) },
    };
    await this.#put(tombstone, metadata);
  }

  override insert(): never {
    throw new TypeError("a stream of changes has only updates and deletes");
  }

  override async commit(): Promise<null> {
    await this.#puts.done();
    return null;
  }

  override async abort(): Promise<void> {
    await this.#puts.settled();
  }

  async #put(item: Item, metadata: NamedRow | null): Promise<void> {
    const { items, options, client } = this.#parts;
    items.checkNotMarker(item, this.#task.pipeline, this.#changes);
    const sequence = { B: Buffer.from(String(metadata?.["__sequence"]), "base64") };
    const put = conditionalPut({ ...item, [options.sequenceAttribute]: sequence }, sequence, options);
    const { signal } = this.#task;
    await this.#puts.add(() => client.call("putting an item", (sdk) => putIfNewer(sdk, put), signal));
  }
}

/** An item without the attribute was not put by a merge, and counts as older. */
function conditionalPut(
  Item: Item,
  sequence: AttributeValue,
  { table: TableName, sequenceAttribute }: ParsedOptions,
): PutItemCommandInput {
  return {
    TableName,
    Item,
    ConditionExpression: "attribute_not_exists(#sequence) OR #sequence < :sequence",
    ExpressionAttributeNames: { "#sequence": sequenceAttribute },
    ExpressionAttributeValues: { ":sequence": sequence },
  };
}

/** Does nothing if the item of the table is not older. */
async function putIfNewer(client: DynamoDBClient, put: PutItemCommandInput): Promise<void> {
  try {
    await client.send(new PutItemCommand(put));
  } catch (error) {
    if (!(error instanceof ConditionalCheckFailedException)) throw error;
  }
}
