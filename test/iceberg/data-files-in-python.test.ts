import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { recordBatchOf } from "../../shared/arrow/record-batches.ts";
import { FileIo } from "../../shared/connectors/iceberg/file-io.ts";
import { canonicalRows } from "../../shared/connectors/iceberg/files/canonical.ts";
import { writeDataFiles } from "../../shared/connectors/iceberg/files/write-data-files.ts";
import { icebergSchemaOf, leavesOf } from "../../shared/connectors/iceberg/format/schema.ts";
import {
  compareValues,
  decodeValue,
  encodeValue,
} from "../../shared/connectors/iceberg/format/single-value.ts";
import type { IcebergValue } from "../../shared/connectors/iceberg/format/types.ts";
import { parseDdl } from "../../shared/contract/ddl/parse.ts";
import type { Row } from "../../shared/contract/stream-reader.ts";
import { DirectoryStore } from "../../shared/platform/embedded/directory-store.ts";
import { temporaryFolder } from "../support/folder.ts";
import { hasPython, runPython } from "../support/python.ts";

interface ParquetColumn {
  readonly path: string;
  readonly id: number | null;
  readonly physical: string;
  readonly logical: string;
  readonly codec: string;
  readonly min: string | null;
  readonly max: string | null;
  readonly nulls: number | null;
}

/**
 * Describes the columns of the first row group of a file, and returns its rows, as pyarrow reads
 * them.
 */
const DESCRIBE = `
import sys, json, pyarrow.parquet as pq
f = pq.ParquetFile(sys.argv[1])
ids = {}
def walk(field, path):
  if field.metadata and b"PARQUET:field_id" in field.metadata: ids[path] = int(field.metadata[b"PARQUET:field_id"])
  t = field.type
  if str(t).startswith("struct"): [walk(t.field(i), path + "." + t.field(i).name) for i in range(t.num_fields)]
  elif str(t).startswith("list"): walk(t.value_field, path + ".list.element")
  elif str(t).startswith("map"): walk(t.key_field, path + ".entries.key"), walk(t.item_field, path + ".entries.value")
for field in f.schema_arrow: walk(field, field.name)
group = f.metadata.row_group(0)
columns = []
for i in range(group.num_columns):
  c, s = group.column(i), f.schema.column(i)
  st = c.statistics
  columns.append({"path": c.path_in_schema, "id": ids.get(c.path_in_schema), "physical": c.physical_type, "logical": str(s.logical_type),
    "codec": c.compression, "min": None if st is None or not st.has_min_max else str(st.min), "max": None if st is None or not st.has_min_max else str(st.max),
    "nulls": None if st is None else st.null_count})
print(json.dumps({"columns": columns, "ids": ids, "rows": [[str(v) for v in r.values()] for r in f.read().to_pylist()]}))
`;

interface Described {
  readonly columns: readonly ParquetColumn[];
  readonly ids: Readonly<Record<string, number>>;
  readonly rows: readonly (readonly string[])[];
}

/** Writes rows to one file, and returns what pyarrow says of it. */
async function described(ddl: string, rows: readonly Row[]): Promise<Described> {
  const source = parseDdl(ddl);
  const { schema } = icebergSchemaOf(source);
  const folder = temporaryFolder();
  const [file] = await writeDataFiles(
    [canonicalRows(source, schema, {}, "refuse").apply(recordBatchOf(source, rows), 0)],
    {
      schema,
      spec: { "spec-id": 0, fields: [] },
      io: new FileIo((root) => new DirectoryStore(root), folder),
      locationOf: () => join(folder, "data", "one.parquet"),
    },
  );
  return runPython<Described>(DESCRIBE, [file?.filePath ?? ""]);
}

const TYPES =
  "b boolean, t tinyint, s smallint, i int, l bigint, f float, d double, d9 decimal(9,2), d18 decimal(18,4), d38 decimal(38,10), " +
  "u string, v varchar(5), raw binary, day date, at timestamp, local timestamp_ntz, clock time, " +
  "st struct<x:int,y:struct<z:string>>, a array<struct<p:bigint>>, m map<string,array<double>>";

describe.runIf(hasPython)("Data files in Python", () => {
  it("Every column has the id, the physical type and the statistics that readers expect", async () => {
    const row: Row = [
      ...[
        true,
        -1,
        -2,
        3,
        4n,
        1.5,
        2.5,
        "-1.25",
        "2.5",
        `-${10n ** 27n}.5`,
        "text",
        "abc",
        Buffer.from([255]),
      ],
      ...["2026-11-28", "2026-11-28T01:02:03.123456Z", "1969-12-31T23:59:59.999999", "12:34:56.123456"],
      ...[{ x: 1, y: { z: "in" } }, [{ p: 1n }, null], new Map([["k", [1, null]]])],
    ];
    const { columns, ids, rows } = await described(TYPES, [row]);
    const { schema, lastColumnId } = icebergSchemaOf(parseDdl(TYPES));
    expect(Object.values(ids).sort((x, y) => x - y)).toEqual(
      Array.from({ length: lastColumnId }, (_, i) => i + 1),
    );
    expect(columns.map(({ id }) => id)).toEqual([...leavesOf(schema)].map(({ id }) => id));
    expect(
      Object.fromEntries(columns.map(({ path, physical, logical }) => [path, `${physical} ${logical}`])),
    ).toMatchInlineSnapshot(`
      {
        "a.list.element.p": "INT64 None",
        "at": "INT64 Timestamp(isAdjustedToUTC=true, timeUnit=microseconds, is_from_converted_type=false, force_set_converted_type=false)",
        "b": "BOOLEAN None",
        "clock": "INT64 Time(isAdjustedToUTC=false, timeUnit=microseconds)",
        "d": "DOUBLE None",
        "d18": "INT64 Decimal(precision=18, scale=4)",
        "d38": "FIXED_LEN_BYTE_ARRAY Decimal(precision=38, scale=10)",
        "d9": "INT32 Decimal(precision=9, scale=2)",
        "day": "INT32 Date",
        "f": "FLOAT None",
        "i": "INT32 None",
        "l": "INT64 None",
        "local": "INT64 Timestamp(isAdjustedToUTC=false, timeUnit=microseconds, is_from_converted_type=false, force_set_converted_type=false)",
        "m.entries.key": "BYTE_ARRAY String",
        "m.entries.value.list.element": "DOUBLE None",
        "raw": "BYTE_ARRAY None",
        "s": "INT32 None",
        "st.x": "INT32 None",
        "st.y.z": "BYTE_ARRAY String",
        "t": "INT32 None",
        "u": "BYTE_ARRAY String",
        "v": "BYTE_ARRAY String",
      }
    `);
    expect(new Set(columns.map(({ codec }) => codec))).toEqual(new Set(["ZSTD"]));
    expect(columns.filter(({ nulls }) => nulls === null)).toEqual([]);
    expect(columns.filter(({ min, max }) => min === null || max === null)).toEqual([]);
    expect(rows).toMatchInlineSnapshot(`
      [
        [
          "True",
          "-1",
          "-2",
          "3",
          "4",
          "1.5",
          "2.5",
          "-1.25",
          "2.5000",
          "-1000000000000000000000000000.5000000000",
          "text",
          "abc",
          "b'\\xff'",
          "2026-11-28",
          "2026-11-28 01:02:03.123456+00:00",
          "1969-12-31 23:59:59.999999",
          "12:34:56.123456",
          "{'x': 1, 'y': {'z': 'in'}}",
          "[{'p': 1}, None]",
          "[('k', [1.0, None])]",
        ],
      ]
    `);
  });

  it("Bounds are encoded, and decoded, as pyiceberg does", () => {
    const values: readonly (readonly [type: string, value: IcebergValue, python: string])[] = [
      ["boolean", true, "True"],
      ["int", -(2 ** 31), "-2147483648"],
      ["long", 2n ** 63n - 1n, "9223372036854775807"],
      ["float", -0, "-0.0"],
      ["float", 1.5, "1.5"],
      ["double", 1e300, "1e300"],
      ["date", -719_162, "-719162"],
      ["time", 86_399_999_999n, "86399999999"],
      ["timestamp", -1n, "-1"],
      ["timestamptz", 1_767_225_600_123_456n, "1767225600123456"],
      ["string", "ż😀", "'ż😀'"],
      [
        "uuid",
        Uint8Array.from({ length: 16 }, (_, i) => i * 16),
        "uuid.UUID('00102030405060708090a0b0c0d0e0f0')",
      ],
      ["fixed[3]", Uint8Array.of(1, 2, 255), "bytes([1, 2, 255])"],
      ["binary", Uint8Array.of(), "b''"],
      ...[0n, -1n, 127n, 128n, -128n, -129n, 32_767n, 10n ** 38n - 1n, 1n - 10n ** 38n].map(
        (unscaled) =>
          [
            "decimal(38, 10)",
            unscaled,
            `decimal.Decimal('${unscaled}').scaleb(-10, decimal.Context(prec=60))`,
          ] as const,
      ),
    ];
    const hex = runPython<readonly string[]>(`
import json, decimal, uuid
from pyiceberg import conversions
from pyiceberg.schema import Schema
from pyiceberg.types import *
from pyiceberg.types import IcebergType
T = {"boolean": BooleanType(), "int": IntegerType(), "long": LongType(), "float": FloatType(), "double": DoubleType(), "date": DateType(),
  "time": TimeType(), "timestamp": TimestampType(), "timestamptz": TimestamptzType(), "string": StringType(), "uuid": UUIDType(),
  "fixed[3]": FixedType(3), "binary": BinaryType(), "decimal(38, 10)": DecimalType(38, 10)}
print(json.dumps([conversions.to_bytes(T[t], v).hex() for t, v in [${values.map(([type, , python]) => `(${JSON.stringify(type)}, ${python})`).join(", ")}]]))
`);
    const ours = values.map(([type, value]) => Buffer.from(encodeValue(type, value)).toString("hex"));
    expect(ours).toEqual(hex);
    for (const [i, [type, value]] of values.entries()) {
      const decoded = decodeValue(type, new Uint8Array(Buffer.from(hex[i] ?? "", "hex")));
      expect(decoded).toEqual(value);
      expect(compareValues(type, decoded, value)).toBe(0);
    }
  });
});
