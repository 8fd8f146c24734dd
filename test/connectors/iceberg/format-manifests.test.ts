import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  decodeManifest,
  encodeManifest,
  type ManifestKind,
} from "../../../shared/connectors/iceberg/format/manifest.ts";
import {
  decodeManifestList,
  encodeManifestList,
} from "../../../shared/connectors/iceberg/format/manifest-list.ts";
import type {
  DataFile,
  IcebergValue,
  ManifestEntry,
  ManifestFile,
} from "../../../shared/connectors/iceberg/format/types.ts";
import { ROOT } from "../../support/root.ts";

const fixture = (name: string) => readFileSync(join(ROOT, "test/fixtures/iceberg", name));

const ID = 5127664545653152399n;
const LISTED: ManifestFile = {
  ...{ manifestPath: "s3://lake/m.avro", manifestLength: 9, partitionSpecId: 0, content: 0 },
  ...{ sequenceNumber: 7, minSequenceNumber: 3, addedSnapshotId: ID },
  ...{ addedFilesCount: 1, existingFilesCount: 2, deletedFilesCount: 3 },
  ...{ addedRowsCount: 4, existingRowsCount: 5, deletedRowsCount: 6 },
};
const FILE: DataFile = {
  ...{ content: 0, filePath: "s3://lake/ż.parquet", fileFormat: "PARQUET", partition: [] },
  ...{ recordCount: 10, fileSizeInBytes: 1000 },
};
const kindOf = (types: readonly string[], content: 0 | 1 = 0): ManifestKind => {
  const partition = types.map((type, i) => ({ id: 1000 + i, name: `p${i}`, type }));
  const columns = types.map((type, i) => ({ id: i + 1, name: `p${i}`, required: false, type }));
  const fields = partition.map(({ id, name }, i) => ({
    ...{ "source-id": i + 1, "field-id": id, name, transform: "identity" },
  }));
  return {
    ...{ schema: { type: "struct", "schema-id": 0, fields: columns }, partition, content },
    spec: { "spec-id": 0, fields },
  };
};
const code = (name: string, text: RegExp = /./) =>
  expect.objectContaining({ code: name, message: expect.stringMatching(text) });

describe("Manifests of other programs", () => {
  const uuid = (n: number) => Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, n);
  const long = (n: number) => Uint8Array.of(n, 0, 0, 0, 0, 0, 0, 0);
  const partitionOf = (n: number): (IcebergValue | null)[] =>
    n === 2
      ? [null, 19002, 2, null, null, null, 1700000000000002n]
      : [`łódź${n}`, 19000 + n, n, BigInt(-1230 - n), uuid(n), -n, 1700000000000000n + BigInt(n)];
  /** What the program that made the fixtures was told. */
  const fileOf = (n: number): DataFile => ({
    ...{ content: 0, filePath: `s3://lake/data/${n}.parquet`, fileFormat: "PARQUET", sortOrderId: 0 },
    ...{ partition: partitionOf(n), recordCount: 10 + n, fileSizeInBytes: 1000 + n, splitOffsets: [4, 500] },
    columnSizes: new Map([
      [1, 100],
      [3, 5000000000],
    ]),
    valueCounts: new Map([
      [1, 10 + n],
      [3, 10 + n],
    ]),
    nullValueCounts: new Map([
      [1, 0],
      [3, 2],
    ]),
    nanValueCounts: new Map(),
    lowerBounds: new Map([[1, long(n)]]),
    upperBounds: new Map([[1, long(100 + n)]]),
  });
  const [added, rewritten, deletes] = decodeManifestList(fixture("java-v2-list.avro"));
  const read = (name: string, listed = rewritten) => decodeManifest(fixture(name), listed ?? LISTED);

  it("A list of Java is read with its counts, sequence numbers and summaries", () => {
    expect(added).toMatchObject({ content: 0, sequenceNumber: 2, addedFilesCount: 1, addedRowsCount: 13 });
    expect(rewritten).toMatchObject({ content: 0, sequenceNumber: 3, minSequenceNumber: 1 });
    expect(rewritten).toMatchObject({ existingFilesCount: 1, deletedFilesCount: 1, deletedRowsCount: 11 });
    expect(rewritten?.partitions?.[1]).toEqual({
      ...{ containsNull: false, containsNan: false },
      ...{ lowerBound: Uint8Array.of(57, 74, 0, 0), upperBound: Uint8Array.of(58, 74, 0, 0) },
    });
    expect(deletes).toMatchObject({ content: 1, sequenceNumber: 4 });
  });

  it("An added file of Java inherits its sequence numbers from the list", () => {
    expect(read("java-v2-manifest-0.avro", added)).toEqual([
      {
        ...{ status: 1, snapshotId: added?.addedSnapshotId, sequenceNumber: 2, fileSequenceNumber: 2 },
        dataFile: fileOf(3),
      },
    ]);
  });

  it("Deleted and existing files of Java keep their own sequence numbers", () => {
    const [deleted, existing] = read("java-v2-manifest-1.avro");
    expect(deleted).toMatchObject({ status: 2, snapshotId: rewritten?.addedSnapshotId, sequenceNumber: 1 });
    expect(deleted?.dataFile).toEqual(fileOf(1));
    expect(existing).toMatchObject({ status: 0, sequenceNumber: 1, fileSequenceNumber: 1 });
    expect(existing?.snapshotId).not.toBe(rewritten?.addedSnapshotId);
    expect(existing?.dataFile).toEqual(fileOf(2));
  });

  it("A position delete file of Java names its data file", () => {
    const [entry] = read("java-v2-manifest-2.avro", deletes);
    expect(entry?.dataFile).toMatchObject({ content: 1, referencedDataFile: "s3://lake/data/2.parquet" });
  });

  it("A list and a manifest of format version 1 have the sequence number 0", () => {
    const [listed] = decodeManifestList(fixture("java-v1-list.avro"));
    expect(listed).toMatchObject({ content: 0, sequenceNumber: 0, minSequenceNumber: 0, addedFilesCount: 2 });
    const entries = read("java-v1-manifest-0.avro", listed);
    expect(entries.map((entry) => entry.sequenceNumber)).toEqual([0, 0]);
    expect(entries.map((entry) => entry.dataFile)).toEqual([fileOf(1), fileOf(2)]);
  });

  it.each(["fastavro-snappy.avro", "fastavro-shuffled.avro", "fastavro-names.avro"])(
    "%s: the same entries are the same in another form",
    (name) => {
      expect(read(name)).toEqual(read("java-v2-manifest-1.avro"));
    },
  );

  it("A list and a manifest of pyiceberg with zstandard and a name that Avro does not allow are read", () => {
    const [listed] = decodeManifestList(fixture("pyiceberg-list.avro"));
    expect(listed).toMatchObject({ sequenceNumber: 3, addedFilesCount: 1 });
    const [entry] = read("pyiceberg-manifest-0.avro", listed);
    expect(entry?.dataFile.partition).toEqual(["r3", 20456]);
  });

  it("A list of DuckDB is read", () => {
    const listed = decodeManifestList(fixture("duckdb-list.avro"));
    expect(listed.map(({ content, sequenceNumber }) => [content, sequenceNumber])).toEqual([
      [0, 1],
      [0, 2],
      [1, 3],
    ]);
    expect(listed.every(({ partitions }) => partitions === undefined)).toBe(true);
  });
});

describe("Manifests of Millrace", () => {
  const VALUES: Readonly<Record<string, fc.Arbitrary<IcebergValue>>> = {
    boolean: fc.boolean(),
    int: fc.integer(),
    date: fc.integer(),
    long: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    time: fc.bigInt({ min: 0n, max: 86399999999n }),
    timestamp: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    timestamptz: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    float: fc.float(),
    double: fc.double(),
    string: fc.string({ unit: "binary" }),
    binary: fc.uint8Array(),
    uuid: fc.uint8Array({ minLength: 16, maxLength: 16 }),
    "fixed[3]": fc.uint8Array({ minLength: 3, maxLength: 3 }),
    "decimal(9, 2)": fc.bigInt({ min: -999999999n, max: 999999999n }),
    "decimal(38, 0)": fc.bigInt({ min: -(10n ** 38n) + 1n, max: 10n ** 38n - 1n }),
  };
  const optional = <T>(name: string, value: fc.Arbitrary<T>) =>
    fc.option(value).map((one) => (one === null ? {} : { [name]: one }));
  const counts = fc.dictionary(fc.integer({ min: 0, max: 2 ** 31 - 1 }).map(String), fc.maxSafeNat());
  const mapOf = <T>(values: fc.Arbitrary<Record<string, T>>) =>
    values.map((object) => new Map(Object.entries(object).map(([key, value]) => [Number(key), value])));
  const bounds = fc.dictionary(fc.nat().map(String), fc.uint8Array());
  const longs = fc.oneof(
    fc.maxSafeInteger(),
    fc.bigInt({ min: 2n ** 53n, max: 2n ** 63n - 1n }),
    fc.bigInt({ min: -(2n ** 63n), max: -(2n ** 53n) }),
  );
  const entryOf = (types: readonly string[]): fc.Arbitrary<ManifestEntry> =>
    fc
      .tuple(
        fc.constantFrom(0, 1, 2),
        fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
        fc.tuple(longs, longs),
        fc.tuple(...types.map((type) => fc.option(VALUES[type] ?? fc.constant(null)))),
        fc.tuple(fc.string({ unit: "binary" }), fc.maxSafeNat(), fc.maxSafeNat()),
        fc.tuple(
          ...["columnSizes", "valueCounts", "nullValueCounts", "nanValueCounts"].map((name) =>
            optional(name, mapOf(counts)),
          ),
        ),
        fc.tuple(optional("lowerBounds", mapOf(bounds)), optional("upperBounds", mapOf(bounds))),
        fc.tuple(
          optional("keyMetadata", fc.uint8Array()),
          optional("splitOffsets", fc.array(fc.maxSafeNat())),
          optional("equalityIds", fc.array(fc.nat())),
          optional("sortOrderId", fc.integer()),
          optional("referencedDataFile", fc.string()),
        ),
      )
      .map(([status, snapshotId, [sequenceNumber, fileSequenceNumber], partition, texts, ...more]) => ({
        ...{ status: status as 0 | 1 | 2, snapshotId, sequenceNumber, fileSequenceNumber },
        dataFile: {
          ...{ content: 0, filePath: texts[0], fileFormat: "PARQUET", partition },
          ...{ recordCount: texts[1], fileSizeInBytes: texts[2] },
          ...Object.assign({}, ...more.flat()),
        } as DataFile,
      }));

  it("Entries of all partition types come back as they were", () => {
    const case_ = fc
      .array(fc.constantFrom(...Object.keys(VALUES)), { maxLength: 6 })
      .chain((types) => fc.tuple(fc.constant(types), fc.array(entryOf(types), { maxLength: 5 })));
    fc.assert(
      fc.property(case_, ([types, entries]) => {
        const kind = kindOf(types);
        const bytes = encodeManifest(entries, kind);
        expect(decodeManifest(bytes, LISTED)).toEqual(entries);
        expect(decodeManifest(bytes, LISTED, kind.partition)).toEqual(entries);
      }),
      { numRuns: 60 },
    );
  });

  it("Lists come back as they were", () => {
    const summary = fc
      .tuple(fc.boolean(), optional("containsNan", fc.boolean()), optional("lowerBound", fc.uint8Array()))
      .map(([containsNull, ...more]) => ({ containsNull, ...Object.assign({}, ...more) }));
    const case_ = fc.array(
      fc
        .tuple(longs, fc.constantFrom(0 as const, 1 as const), optional("partitions", fc.array(summary)))
        .map(([sequenceNumber, content, more]) => ({ ...LISTED, content, sequenceNumber, ...more })),
    );
    fc.assert(
      fc.property(case_, (files) => {
        const snapshot = { snapshotId: ID, parentSnapshotId: undefined, sequenceNumber: 7 };
        expect(decodeManifestList(encodeManifestList(files, snapshot))).toEqual(files);
      }),
      { numRuns: 60 },
    );
  });

  it("The same entries make the same bytes", () => {
    const entries: ManifestEntry[] = [{ status: 1, dataFile: FILE }];
    expect(encodeManifest(entries, kindOf([]))).toEqual(encodeManifest(entries, kindOf([])));
  });

  it("A manifest of many blocks has all its entries", () => {
    const entries = Array.from(
      { length: 5000 },
      (_, i): ManifestEntry => ({
        ...{ status: 1, snapshotId: ID, sequenceNumber: 7, fileSequenceNumber: 7 },
        dataFile: { ...FILE, filePath: `s3://lake/${i}.parquet` },
      }),
    );
    expect(decodeManifest(encodeManifest(entries, kindOf([])), LISTED)).toEqual(entries);
  });

  it("A new entry inherits the snapshot id and both sequence numbers", () => {
    const bytes = encodeManifest([{ status: 1, dataFile: FILE }], kindOf([]));
    const expected = { status: 1, snapshotId: ID, sequenceNumber: 7, fileSequenceNumber: 7, dataFile: FILE };
    expect(decodeManifest(bytes, LISTED)).toEqual([expected]);
  });

  it("A new entry with an older sequence number of its data keeps that one", () => {
    const bytes = encodeManifest([{ status: 1, sequenceNumber: 2, dataFile: FILE }], kindOf([]));
    expect(decodeManifest(bytes, LISTED)).toMatchObject([{ sequenceNumber: 2, fileSequenceNumber: 7 }]);
  });

  it("An entry that is not new and has no sequence number is an error, when written and when read", () => {
    const entry: ManifestEntry = { status: 0, snapshotId: ID, dataFile: FILE };
    expect(() => encodeManifest([entry], kindOf([]))).toThrow(code("MANIFEST_INVALID", /ż\.parquet/));
    const unnumbered = fixture("fastavro-unnumbered.avro");
    expect(() => decodeManifest(unnumbered, LISTED)).toThrow(code("MANIFEST_INVALID", /1\.parquet/));
    const ofVersion1 = decodeManifest(unnumbered, { ...LISTED, sequenceNumber: 0 });
    expect(ofVersion1.map(({ status, sequenceNumber }) => [status, sequenceNumber])).toEqual([
      [2, 0],
      [0, 0],
    ]);
  });

  it("A data file among delete files is an error, and a delete file among data files", () => {
    const data: ManifestEntry = { status: 1, dataFile: FILE };
    const remove: ManifestEntry = { status: 1, dataFile: { ...FILE, content: 1 } };
    expect(() => encodeManifest([data], kindOf([], 1))).toThrow(code("MANIFEST_INVALID"));
    expect(() => encodeManifest([remove], kindOf([], 0))).toThrow(code("MANIFEST_INVALID"));
    const bytes = encodeManifest([data], kindOf([]));
    expect(() => decodeManifest(bytes, { ...LISTED, content: 1 })).toThrow(code("MANIFEST_INVALID"));
  });

  it("A partition with too few values is an error", () => {
    expect(() => encodeManifest([{ status: 1, dataFile: FILE }], kindOf(["int"]))).toThrow(
      code("MANIFEST_INVALID", /0 values/),
    );
  });

  it("An int in a file is a bigint if the partition's type has become long", () => {
    const entry: ManifestEntry = { status: 1, dataFile: { ...FILE, partition: [5] } };
    const bytes = encodeManifest([entry], kindOf(["int"]));
    const [read] = decodeManifest(bytes, LISTED, [{ id: 1000, name: "p0", type: "long" }]);
    expect(read?.dataFile.partition).toEqual([5n]);
  });

  it("A partition value whose unit does not fit the type is an error", () => {
    const entry: ManifestEntry = { status: 1, dataFile: { ...FILE, partition: [5n] } };
    const bytes = encodeManifest([entry], kindOf(["timestamp"]));
    const long = [{ id: 1000, name: "p0", type: "long" }];
    expect(() => decodeManifest(bytes, LISTED, long)).toThrow(
      code("MANIFEST_INVALID", /partition\.p0.*timestamp-micros/),
    );
  });

  it("Partition fields are found by id if their names are no Avro names or become equal", () => {
    const names = ["1 a", "_1_x20a", "łódź-😀", "ok"];
    const kind = kindOf(names.map(() => "int"));
    const partition = kind.partition.map((field, i) => ({ ...field, name: names[i] ?? "" }));
    const entry: ManifestEntry = { status: 1, dataFile: { ...FILE, partition: [1, 2, 3, 4] } };
    const bytes = encodeManifest([entry], { ...kind, partition });
    expect(decodeManifest(bytes, LISTED)[0]?.dataFile.partition).toEqual([1, 2, 3, 4]);
    expect(decodeManifest(bytes, LISTED, partition)[0]?.dataFile.partition).toEqual([1, 2, 3, 4]);
    const header = Buffer.from(bytes).toString("latin1");
    expect(header).toContain('"name":"_1_x20a"');
    expect(header).toContain('"name":"_1_x20a_1001"');
    expect(header).toContain('"name":"_x142_xF3d_x17A_x2D_xD83D_xDE00"');
  });

  it("The partition is in the order of the spec that the reader asks for", () => {
    const kind = kindOf(["int", "string"]);
    const entry: ManifestEntry = { status: 1, dataFile: { ...FILE, partition: [1, "a"] } };
    const bytes = encodeManifest([entry], kind);
    const reversed = kind.partition.toReversed();
    expect(decodeManifest(bytes, LISTED, reversed)[0]?.dataFile.partition).toEqual(["a", 1]);
    const unknown = [{ id: 1007, name: "p7", type: "int" }];
    expect(() => decodeManifest(bytes, LISTED, unknown)).toThrow(
      code("MANIFEST_INVALID", /p7 \(1007\) is missing/),
    );
  });
});
