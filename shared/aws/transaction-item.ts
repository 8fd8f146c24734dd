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
}

/** Creates an item that a ledger in DynamoDB writes in its own transaction. */
export function dynamoDbItem(table: string, item: DynamoDbItem["item"]): DynamoDbItem {
  return { kind: "dynamodb", table, item };
}

/** Checks `kind`, so that items of another copy of the package are recognised too. */
export function isDynamoDbItem(item: { readonly kind: string }): item is DynamoDbItem {
  return item.kind === "dynamodb";
}
