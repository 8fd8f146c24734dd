import { describe, expect, it } from "vitest";
import {
  ABSENT,
  absentOr,
  atMost,
  equal,
  oneOf,
  PRESENT,
} from "../../../shared/engine/ports/compare-and-set.ts";
import { expression } from "../../../shared/platform/aws/expression.ts";

describe("expression", () => {
  it("An expression has each test of a field in DynamoDB's words, joined by AND", () => {
    const where = [
      {
        epoch: equal(4),
        openBatchId: ABSENT,
        pk: PRESENT,
        position: absentOr('{"n":1}'),
        leaseExpiresAt: atMost(9000),
        state: oneOf(["aborted", "planned"]),
      },
    ];
    expect(expression({ where, set: {} })).toEqual({
      ConditionExpression: [
        "#epoch = :0",
        "attribute_not_exists(#openBatchId)",
        "attribute_exists(#pk)",
        "(attribute_not_exists(#position) OR #position = :1)",
        "#leaseExpiresAt <= :2",
        "(#state = :3 OR #state = :4)",
      ].join(" AND "),
      ExpressionAttributeNames: {
        "#epoch": "epoch",
        "#openBatchId": "openBatchId",
        "#pk": "pk",
        "#position": "position",
        "#leaseExpiresAt": "leaseExpiresAt",
        "#state": "state",
      },
      ExpressionAttributeValues: {
        ":0": { N: "4" },
        ":1": { S: '{"n":1}' },
        ":2": { N: "9000" },
        ":3": { S: "aborted" },
        ":4": { S: "planned" },
      },
    });
  });

  it("An expression joins alternatives by OR, without parentheses that DynamoDB would call redundant", () => {
    const { ConditionExpression } = expression({
      where: [{ a: ABSENT }, { b: equal(1), c: ABSENT }],
      set: {},
    });
    expect(ConditionExpression).toBe("attribute_not_exists(#a) OR #b = :0 AND attribute_not_exists(#c)");
  });

  it("An expression sets what has a value, removes what is undefined, and adds to what is there", () => {
    const change = {
      where: [{ pk: PRESENT }],
      set: { state: "planned", error: undefined, progress: undefined, note: null },
      initial: { incarnation: "life-1" },
      add: { epoch: 1 },
    };
    expect(expression(change)).toMatchObject({
      UpdateExpression:
        "SET #state = :0, #note = :1, #incarnation = if_not_exists(#incarnation, :2) REMOVE #error, #progress ADD #epoch :3",
      ExpressionAttributeValues: {
        ":0": { S: "planned" },
        ":1": { NULL: true },
        ":2": { S: "life-1" },
        ":3": { N: "1" },
      },
    });
  });

  it("An expression has no values and no update if there are none, because DynamoDB takes neither empty", () => {
    expect(Object.keys(expression({ where: [{ pk: PRESENT }], set: {} })).toSorted()).toEqual([
      "ConditionExpression",
      "ExpressionAttributeNames",
    ]);
    expect(expression({ where: [{ pk: PRESENT }], set: { pausedAs: undefined } })).toEqual({
      ConditionExpression: "attribute_exists(#pk)",
      UpdateExpression: "REMOVE #pausedAs",
      ExpressionAttributeNames: { "#pk": "pk", "#pausedAs": "pausedAs" },
    });
  });
});
