/** A condition on the item that is there, in DynamoDB's format. */
export interface DynamoDbCondition {
  /** The condition, with aliases for names and values. */
  readonly ConditionExpression: string;
  /** Names by their aliases, such as `{ "#v": "version" }`. */
  readonly ExpressionAttributeNames?: Readonly<Record<string, string>>;
  /** Values by their aliases, in DynamoDB's format: `{ ":v": { N: "42" } }`. */
  readonly ExpressionAttributeValues?: Readonly<Record<string, unknown>>;
}

/**
 * An item of a DynamoDB table in the ledger's account and region. It replaces an existing item with
 * the same key.
 */
export interface DynamoDbItem {
  /** Names the database that the item is for. */
  readonly kind: "dynamodb";
  /** Name or ARN of the table. */
  readonly table: string;
  /** Attribute values in DynamoDB's format: `{ id: { N: "42" } }`. */
  readonly item: Readonly<Record<string, unknown>>;
  /** If it does not hold, nothing of the transaction is written, and the batch is aborted. */
  readonly condition?: DynamoDbCondition;
}

/** Creates an item that a ledger in DynamoDB writes in its own transaction. */
export function dynamoDbItem(
  table: string,
  item: DynamoDbItem["item"],
  condition?: DynamoDbCondition,
): DynamoDbItem {
  return { kind: "dynamodb", table, item, ...(condition === undefined ? {} : { condition }) };
}

/** Checks `kind`, so that items of another copy of the package are recognised too. */
export function isDynamoDbItem(item: { readonly kind: string }): item is DynamoDbItem {
  return item.kind === "dynamodb";
}
