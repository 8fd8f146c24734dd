/**
 * An item for a table of the ledger's account and region; it takes the place of one with its key.
 */
export interface DynamoDbItem {
  /** Names the store that it is for. */
  readonly kind: "dynamodb";
  /** The table's name or ARN. */
  readonly table: string;
  /** Attribute values in DynamoDB's form: `{ id: { N: "42" } }`. */
  readonly item: Readonly<Record<string, unknown>>;
}

/** What a sink gives to a ledger in DynamoDB, so that both are written in one transaction. */
export function dynamoDbItem(table: string, item: DynamoDbItem["item"]): DynamoDbItem {
  return { kind: "dynamodb", table, item };
}

/** Tells by `kind`, so that it works across two copies of the package. */
export function isDynamoDbItem(item: { readonly kind: string }): item is DynamoDbItem {
  return item.kind === "dynamodb";
}
