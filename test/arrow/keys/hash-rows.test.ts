import type { RecordBatch } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { bucketsOf, checkClustering } from "../../../shared/arrow/hash-rows.ts";
import { recordBatchOf } from "../../../shared/arrow/record-batches.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import { literal, reference, scalar } from "../../../shared/contract/write/predicates.ts";
import {
  batchOf,
  chanceOf,
  compareInside,
  dictionaries,
  float64,
  half,
  int32,
  KINDS,
  type Kind,
  long,
  pick,
  randomRows,
  SCALARS,
  sliceOf,
  text,
  textViews,
  type Value,
} from "./kinds.ts";

/** So many that different values rarely meet. */
const MANY = 2 ** 31 - 1;

const hash = (batch: RecordBatch): readonly number[] => [
  ...bucketsOf(
    batch,
    batch.schema.fields.map(({ name }) => reference(name)),
    MANY,
  ),
];

describe("Buckets of rows", () => {
  it.each(KINDS.map((kind, i) => [kind.name, kind, i] as const))(
    "Equal values of %s are in one bucket, and different ones hardly ever",
    (_, kind, seed) => {
      const chance = chanceOf(seed + 100);
      const rows = randomRows([kind], 60, chance);
      const buckets = hash(sliceOf([kind], rows, chance));
      expect(hash(batchOf([kind], rows))).toEqual(buckets);
      let collisions = 0;
      for (const [i, a] of rows.entries())
        for (const [j, b] of rows.entries()) {
          const isEqual = compareInside(kind, a[0] as Value, b[0] as Value) === 0;
          if (isEqual) expect(buckets[i]).toBe(buckets[j]);
          else if (buckets[i] === buckets[j]) collisions++;
        }
      expect(collisions).toBe(0);
    },
  );

  it("Rows are in the bucket of all their values", () => {
    for (let seed = 1; seed <= 30; seed++) {
      const chance = chanceOf(seed);
      const kinds = [pick(chance, KINDS), pick(chance, KINDS)];
      const rows = randomRows(kinds, 40, chance);
      const buckets = hash(sliceOf(kinds, rows, chance));
      for (const [i, a] of rows.entries())
        for (const [j, b] of rows.entries())
          if (kinds.every((kind, k) => compareInside(kind, a[k] as Value, b[k] as Value) === 0))
            expect(buckets[i]).toBe(buckets[j]);
    }
  });

  it.each<readonly [string, Kind, Kind]>([
    ["text and a dictionary of it", text, dictionaries(text)],
    ["text and views of it", text, textViews],
    [
      "integers of 32 and of 64 bits",
      int32,
      { ...long, make: (chance) => BigInt(int32.make(chance) as number) },
    ],
    ["floats of 16 and of 64 bits", half, { ...float64, make: half.make }],
    ["integers and a dictionary of them", long, dictionaries(long)],
  ])("The bucket is the same for %s", (_, one, other) => {
    const rows = (kind: Kind) => randomRows([kind], 50, chanceOf(3));
    expect(hash(batchOf([one], rows(one)))).toEqual(hash(batchOf([other], rows(other))));
  });

  it("A computed integer is in the bucket of the column with the same values", () => {
    const batch = recordBatchOf(
      parseDdl("a bigint, b int"),
      Array.from({ length: 50 }, (_, i) => ({ a: i * 2 ** 33 - 99, b: i })),
    );
    const plus = (name: string) => bucketsOf(batch, [scalar("+", reference(name), literal(0))], MANY);
    expect(plus("a")).toEqual(bucketsOf(batch, [reference("a")], MANY));
    expect(plus("b")).toEqual(bucketsOf(batch, [reference("b")], MANY));
  });

  it("Rows spread evenly over the buckets", () => {
    const count = 20_000;
    const kinds = SCALARS.filter(({ name }) => /^(Int64|Float64|Utf8|Timestamp|Decimal128)/.test(name));
    expect(kinds.length).toBeGreaterThan(3);
    const distinct: readonly (readonly [string, (i: number) => unknown])[] = [
      ["bigint", (i) => i],
      ["bigint", (i) => i * 1024],
      ["int", (i) => -i],
      ["double", (i) => i / 8],
      ["string", (i) => `key-${i}`],
      ["timestamp", (i) => new Date(i * 86_400_000)],
      ["decimal(20,2)", (i) => String(i)],
    ];
    for (const [type, at] of distinct) {
      const batch = recordBatchOf(
        parseDdl(`x ${type}`),
        Array.from({ length: count }, (_, i) => ({ x: at(i) })),
      );
      for (const buckets of [7, 50, 64]) {
        const counts = new Array<number>(buckets).fill(0);
        for (const bucket of bucketsOf(batch, [reference("x")], buckets))
          counts[bucket] = (counts[bucket] ?? 0) + 1;
        const expected = count / buckets;
        // Chi-squared: its mean is the number of buckets less one.
        const chi = counts.reduce((sum, found) => sum + (found - expected) ** 2 / expected, 0);
        expect(chi).toBeLessThan(buckets + 6 * Math.sqrt(2 * buckets));
      }
    }
  });

  it("A clustering by a map is refused, and the column is named", () => {
    expect(() => checkClustering(parseDdl("tags map<string, int>"), [reference("tags")])).toThrow(
      expect.objectContaining({ code: "DISTRIBUTION_INVALID", message: expect.stringContaining('"tags"') }),
    );
  });
});
