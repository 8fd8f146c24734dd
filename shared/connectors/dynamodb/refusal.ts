import { MillraceError } from "../../contract/errors.ts";
import { optional } from "../../contract/optional.ts";

/**
 * What DynamoDB's messages say of one item, and what is told of it: the messages may quote values.
 */
const OF_AN_ITEM: readonly (readonly [RegExp, string])[] = [
  [/item size|size of hashkey|size of rangekey/i, "the item or its key is too large"],
  [/index key|secondary index/i, "a key of an index has another type, or is empty"],
  [/nesting levels/i, "values are nested too deeply"],
  [/number overflow|number underflow|significant digits|magnitude/i, "a number is out of range"],
  [/empty string|empty binary/i, "a key is empty"],
];

/**
 * Returns the error of an item that DynamoDB does not take; `undefined` if the error is about
 * something else, such as a table with another key.
 */
export function refusalOf(error: unknown): MillraceError | undefined {
  if (!MillraceError.is(error) || !(error.cause instanceof Error)) return undefined;
  const { name, message } = error.cause;
  if (name !== "ValidationException") return undefined;
  const [, reason] = OF_AN_ITEM.find(([said]) => said.test(message)) ?? [];
  if (reason === undefined) return undefined;
  const { where, hint, cause } = error;
  return new MillraceError("DYNAMODB_FAILED", `${error.message}: ${reason}`, {
    where,
    ...optional("hint", hint),
    cause,
  });
}
