import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type RecordBatch, type Schema, Table } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { recordBatchOf, toRecordBatches } from "../../shared/arrow/record-batches.ts";
import { rowsOf } from "../../shared/arrow/rows.ts";
import { parseDdl } from "../../shared/contract/ddl/parse.ts";
import { MillraceError } from "../../shared/contract/errors.ts";
import type { RowSource } from "../../shared/contract/stream-reader.ts";
import { ROOT } from "../support/root.ts";

/**
 * Every mistake of a reader that was tried on Spark 4.3.0 (k_contract_errors.json). Each mistake
 * has the rows or the error that Millrace returns.
 */

const schema = parseDdl("id bigint, part int");
const place = { pipeline: "p", batchId: 0, partition: 0 };
const batch = (ddl: string, ...rows: readonly unknown[][]): RecordBatch => recordBatchOf(parseDdl(ddl), rows);
const good = (): RecordBatch => batch("id bigint, part int", [1, 0]);

/** Yields the items that the reader in Spark yields, as a reader in TypeScript does. */
function* yields(...items: readonly unknown[]): Generator<unknown> {
  yield* items;
}

interface Scenario {
  /** Returns the return value of the reader's `read`. */
  readonly read: () => unknown;
  /** The rows that the sink receives. If absent, `error` is expected. */
  readonly rows?: readonly unknown[];
  /** The exact error that is expected. */
  readonly error?: {
    readonly code: string;
    readonly message: string;
    readonly hint: string;
    readonly where?: object;
    readonly found?: string;
  };
}

const FORMS = "Yield objects by field name, arrays in the order of the schema, or Arrow record batches.";
const CONVERT = (field: string) => `Convert "${field}" in read(), or change its type in the schema.`;
const SELECT = 'yield batch.select(["id", "part"])';
const one = [{ id: 1, part: 0 }];

const scenarios: Readonly<Record<string, Scenario>> = {
  read_tuple_too_short: {
    read: () => yields([1]),
    error: {
      code: "ROW_MISMATCH",
      message: "row 1: expected 2 values (id, part), found 1",
      hint: FORMS,
      where: { row: 1 },
      found: "[1]",
    },
  },
  read_tuple_too_long: {
    read: () => yields([1, 0, 5]),
    error: {
      code: "ROW_MISMATCH",
      message: "row 1: expected 2 values (id, part), found 3",
      hint: FORMS,
      where: { row: 1 },
      found: "[1,0,5]",
    },
  },
  read_wrong_type_str_for_long: {
    read: () => yields(["abc", 0]),
    error: {
      code: "ROW_MISMATCH",
      message: 'row 1, field "id": expected bigint, found a string of 3 characters',
      hint: CONVERT("id"),
      where: { row: 1, field: "id" },
      found: '"abc"',
    },
  },
  read_int_overflow_part: {
    read: () => yields([1, 2 ** 40]),
    error: {
      code: "ROW_MISMATCH",
      message: 'row 1, field "part": expected int (-2147483648 to 2147483647), found a number outside it',
      hint: CONVERT("part"),
      where: { row: 1, field: "part" },
      found: "1099511627776",
    },
  },
  // Spark writes 1 in place of 1.7.
  read_float_for_long: {
    read: () => yields([1.7, 0]),
    error: {
      code: "ROW_MISMATCH",
      message: 'row 1, field "id": expected bigint, found a number with a fraction',
      hint: CONVERT("id"),
      where: { row: 1, field: "id" },
      found: "1.7",
    },
  },
  read_none_values: { read: () => yields([null, null]), rows: [{ id: null, part: null }] },
  read_scalar: {
    read: () => yields(5),
    error: {
      code: "ROW_NOT_A_ROW",
      message: "row 1: expected an object or an array, found an integer",
      hint: FORMS,
      where: { row: 1 },
      found: "5",
    },
  },
  // In JavaScript, a row is usually an object with the field names as keys.
  read_dict_row: { read: () => yields({ id: 1, part: 0 }), rows: one },
  read_row_wrong_names: {
    read: () => yields({ id: 1, xx: 0 }),
    error: {
      code: "ROW_MISMATCH",
      message: 'row 1, field "part": expected int, found nothing (the row has "xx")',
      hint: 'Yield every field of the schema in each row; give null where "part" has no value.',
      where: { row: 1, field: "part" },
    },
  },
  read_row_reordered_names: { read: () => yields({ part: 0, id: 1 }), rows: one },
  // `read` may return any iterable, not only an iterator.
  read_list_not_iterator: { read: () => [[1, 0]], rows: one },
  read_none: {
    read: () => undefined,
    error: {
      code: "READ_NOT_ITERABLE",
      message: "read() must give an iterable of rows, but gave undefined",
      hint: "Write it as a generator: async *read(partition) { … yield row; … }.",
    },
  },
  read_arrow_ok: { read: () => yields(good()), rows: one },
  read_arrow_extra_col: {
    read: () => yields(batch("id bigint, part int, extra int", [1, 0, 5])),
    error: {
      code: "BATCH_SCHEMA_MISMATCH",
      message: "record batch 1: expected (id bigint, part int), found (id bigint, part int, extra int)",
      hint: `"extra" is not in the schema: add it there, or ${SELECT}.`,
    },
  },
  read_arrow_wrong_type: {
    read: () => yields(batch("id bigint, part bigint", [1, 0])),
    error: {
      code: "BATCH_SCHEMA_MISMATCH",
      message: "record batch 1: expected (id bigint, part int), found (id bigint, part bigint)",
      hint: '"part" must be int, not bigint: build the column with that type, or change the schema.',
    },
  },
  read_arrow_wrong_name: {
    read: () => yields(batch("id bigint, pp int", [1, 0])),
    error: {
      code: "BATCH_SCHEMA_MISMATCH",
      message: "record batch 1: expected (id bigint, part int), found (id bigint, pp int)",
      hint: '"part" is missing, and "pp" is not in the schema: call the columns as the schema does.',
    },
  },
  read_arrow_reordered: {
    read: () => yields(batch("part int, id bigint", [0, 1])),
    error: {
      code: "BATCH_SCHEMA_MISMATCH",
      message: "record batch 1: expected (id bigint, part int), found (part int, id bigint)",
      hint: `The columns are in another order: ${SELECT}.`,
    },
  },
  // Spark treats a table as a row; Millrace accepts its batches.
  read_arrow_table: { read: () => yields(new Table([good(), good()])), rows: [...one, ...one] },
  read_arrow_second_batch_wrong_schema: {
    read: () => yields(good(), batch("id bigint, part bigint", [1, 0])),
    error: {
      code: "BATCH_SCHEMA_MISMATCH",
      message: "record batch 2: expected (id bigint, part int), found (id bigint, part bigint)",
      hint: '"part" must be int, not bigint: build the column with that type, or change the schema.',
    },
  },
};

async function outcome(read: () => unknown, of: Schema): Promise<unknown[] | MillraceError> {
  try {
    const batches = await Array.fromAsync(toRecordBatches(of, read() as RowSource, place));
    return batches.flatMap((each) => [...rowsOf(each)]);
  } catch (error) {
    if (MillraceError.is(error)) return error;
    throw error;
  }
}

describe("a reader's mistakes that Spark's recordings have", () => {
  it.each(Object.entries(scenarios))(
    "A row of a reader has the same outcome as in Spark: %s",
    async (_name, { read, rows, error }) => {
      const result = await outcome(read, schema);
      if (error === undefined) {
        expect(result).toEqual(rows);
        return;
      }
      expect(MillraceError.is(result)).toBe(true);
      const { code, message, hint, where, found, retryable } = result as MillraceError;
      expect({ code, message, hint, where, found, retryable }).toEqual({
        found: undefined,
        ...error,
        where: { ...place, ...error.where },
        retryable: false,
      });
    },
  );

  it("The scenarios cover each mistake in Spark's recordings", () => {
    const file = join(ROOT, "../shared/oracle/k_contract_errors.json");
    if (!existsSync(file)) {
      console.warn(
        "no ../shared/oracle/k_contract_errors.json: whether each of Spark's mistakes is here is not checked",
      );
      return;
    }
    const recorded = JSON.parse(readFileSync(file, "utf8")) as object;
    const ofRead = Object.keys(recorded).filter((name) => name.startsWith("read_"));
    expect(Object.keys(scenarios).sort()).toEqual(ofRead.sort());
  });

  it("A reader's mistake is an error even if the schema demands a value and the row has null", async () => {
    expect(await outcome(() => yields([null, 0]), parseDdl("id bigint NOT NULL, part int"))).toMatchObject({
      code: "ROW_MISMATCH",
      message: 'row 1, field "id": expected a value (NOT NULL), found null',
      hint: 'Give "id" a value, leave the row out, or drop NOT NULL from the schema.',
    });
  });
});
