import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  hashOf,
  parseTransform,
  resultType,
  TransformOverflow,
  transformed,
} from "../../../shared/connectors/iceberg/format/transforms.ts";
import type { IcebergValue } from "../../../shared/connectors/iceberg/format/types.ts";

interface Vectors {
  readonly spec_hashes: readonly {
    readonly type: string;
    readonly value: string;
    readonly murmur3_32: number;
  }[];
  readonly vectors: readonly {
    readonly transform: string;
    readonly type: string;
    readonly value: string | null;
    readonly result: string | number | null;
    readonly overflow?: boolean;
  }[];
}

/** Computed by pyiceberg; the hashes are those of Iceberg's specification, appendix B. */
const { spec_hashes, vectors }: Vectors = JSON.parse(
  readFileSync(new URL("vectors/transforms.json", import.meta.url), "utf8"),
);

function valueOfText(type: string, text: string): IcebergValue {
  if (type === "string") return text;
  if (type.startsWith("binary")) return new Uint8Array(Buffer.from(text, "hex"));
  if (type === "uuid") return new Uint8Array(Buffer.from(text.replaceAll("-", ""), "hex"));
  if (type === "int" || type === "date") return Number(text);
  const scale = Number(/, (\d+)\)$/.exec(type)?.[1] ?? 0);
  const [, digits = "", fraction = "", exponent = "0"] =
    /^(-?\d+)(?:\.(\d+))?(?:E([+-]?\d+))?$/.exec(text) ?? [];
  return BigInt(digits + fraction) * 10n ** BigInt(scale - fraction.length + Number(exponent));
}

describe("Partition transforms", () => {
  it("The hashes are those of the specification", () => {
    const ours = spec_hashes.map(({ type, value }) => hashOf(type, valueOfText(type, value)));
    expect(ours).toEqual(spec_hashes.map(({ murmur3_32 }) => murmur3_32));
  });

  it("All results are those of pyiceberg, and a result outside the type is refused", () => {
    expect(vectors.length).toBeGreaterThan(400);
    for (const { transform, type, value, result, overflow } of vectors) {
      const given = value === null ? null : valueOfText(type, value);
      const compute = () => transformed(parseTransform(transform), type, given);
      if (overflow) {
        expect(compute, `${transform} of ${type} ${value}`).toThrow(TransformOverflow);
        continue;
      }
      const kind = resultType(parseTransform(transform), type) as string;
      const expected = result === null ? null : valueOfText(kind, String(result));
      expect(compute(), `${transform} of ${type} ${value}`).toEqual(expected);
    }
  });
});
