import type { AttributeValue } from "@aws-sdk/client-dynamodb";

/*
 * Sizes as DynamoDB counts them:
 * https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html.
 * They are never too large, so that no row is refused that DynamoDB takes: a number counts as one
 * byte.
 */

/** Maximum size of an item, of a partition key, and of a sort key. */
export const ITEM_BYTES: number = 400 * 1024;
export const PARTITION_KEY_BYTES = 2048;
export const SORT_KEY_BYTES = 1024;
/** What a list or a map has in addition to its elements, and in addition for each. */
const NESTED_BYTES = 3;
const ELEMENT_BYTES = 1;

/** Returns the size of an item: its names and values. */
export function itemBytes(item: Readonly<Record<string, AttributeValue>>): number {
  return Object.entries(item).reduce(
    (sum, [name, value]) => sum + Buffer.byteLength(name) + valueBytes(value),
    0,
  );
}

/** Returns the size of a value. */
export function valueBytes(value: AttributeValue | undefined): number {
  if (value?.S !== undefined) return Buffer.byteLength(value.S);
  if (value?.B !== undefined) return value.B.length;
  if (value?.L !== undefined)
    return value.L.reduce((sum, one) => sum + ELEMENT_BYTES + valueBytes(one), NESTED_BYTES);
  if (value?.M !== undefined)
    return NESTED_BYTES + ELEMENT_BYTES * Object.keys(value.M).length + itemBytes(value.M);
  return 1;
}
