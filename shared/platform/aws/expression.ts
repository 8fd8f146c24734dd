import type { UpdateItemCommandInput } from "@aws-sdk/client-dynamodb";
import { marshall } from "@aws-sdk/util-dynamodb";
import type { Change, Test } from "../../engine/ports/compare-and-set.ts";

/** A compare-and-set of an item, by attribute names. */
export type ItemChange = Change<Readonly<Record<string, unknown>>>;

/**
 * The parts of a DynamoDB request that express an `ItemChange`. `UpdateExpression` is absent if
 * nothing is set.
 */
export type Expression = Pick<
  UpdateItemCommandInput,
  "UpdateExpression" | "ExpressionAttributeNames" | "ExpressionAttributeValues"
> & { readonly ConditionExpression: string };

/**
 * Translates a compare-and-set to DynamoDB expressions. Parentheses are added only where needed,
 * because DynamoDB rejects redundant ones. AND binds more tightly than OR.
 */
export function expression({ where, set, initial = {}, add = {} }: ItemChange): Expression {
  const { name, value, used } = aliases();
  const passes = ([attribute, test]: readonly [string, Test<unknown> | undefined]): string => {
    const { absent, present, atMost, oneOf = [] } = test ?? {};
    const ways = [
      ...(absent ? [`attribute_not_exists(${name(attribute)})`] : []),
      ...(present ? [`attribute_exists(${name(attribute)})`] : []),
      ...(atMost === undefined ? [] : [`${name(attribute)} <= ${value(atMost)}`]),
      ...oneOf.map((one) => `${name(attribute)} = ${value(one)}`),
    ];
    return ways.length > 1 ? `(${ways.join(" OR ")})` : ways.join();
  };
  const ConditionExpression = where
    .map((tests) => Object.entries(tests).map(passes).join(" AND "))
    .join(" OR ");
  const settings = Object.entries(set);
  const clauses = {
    SET: [
      ...settings
        .filter(([, to]) => to !== undefined)
        .map(([attribute, to]) => `${name(attribute)} = ${value(to)}`),
      ...Object.entries(initial).map(
        ([attribute, to]) => `${name(attribute)} = if_not_exists(${name(attribute)}, ${value(to)})`,
      ),
    ],
    REMOVE: settings.filter(([, to]) => to === undefined).map(([attribute]) => name(attribute)),
    ADD: Object.entries(add).map(([attribute, number]) => `${name(attribute)} ${value(number)}`),
  };
  const UpdateExpression = Object.entries(clauses)
    .filter(([, parts]) => parts.length > 0)
    .map(([clause, parts]) => `${clause} ${parts.join(", ")}`)
    .join(" ");
  return { ConditionExpression, ...used(), ...(UpdateExpression === "" ? {} : { UpdateExpression }) };
}

/**
 * Collects aliases for names and values. Expressions need them because many names are reserved
 * words, and values cannot be literals.
 */
function aliases() {
  const names: Record<string, string> = {};
  const values: Record<string, unknown> = {};
  return {
    name(attribute: string): string {
      names[`#${attribute}`] = attribute;
      return `#${attribute}`;
    },
    value(value: unknown): string {
      const alias = `:${Object.keys(values).length}`;
      values[alias] = value;
      return alias;
    },
    used: (): Pick<Expression, "ExpressionAttributeNames" | "ExpressionAttributeValues"> => ({
      ExpressionAttributeNames: names,
      ...(Object.keys(values).length === 0 ? {} : { ExpressionAttributeValues: marshall(values) }),
    }),
  };
}
