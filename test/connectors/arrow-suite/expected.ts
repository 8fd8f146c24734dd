import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import type { Value } from "./values.ts";

/** The JSON form of Arrow's integration tests, which tells what is in a file. */
interface SuiteJson {
  readonly schema: { readonly fields: readonly JsonField[] };
  readonly dictionaries?: readonly {
    readonly id: number;
    readonly data: { readonly columns: readonly JsonColumn[] };
  }[];
  readonly batches: readonly { readonly count: number; readonly columns: readonly JsonColumn[] }[];
}

interface JsonField {
  readonly name: string;
  readonly type: {
    readonly name: string;
    readonly unit?: string;
    readonly timezone?: string;
    readonly precision?: string;
    readonly listSize?: number;
    readonly mode?: string;
    readonly typeIds?: readonly number[];
  };
  readonly children: readonly JsonField[];
  readonly dictionary?: { readonly id: number };
}

interface JsonColumn {
  readonly count: number;
  readonly VALIDITY?: readonly number[];
  readonly OFFSET?: readonly (number | string)[];
  readonly SIZE?: readonly (number | string)[];
  readonly DATA?: readonly unknown[];
  readonly TYPE_ID?: readonly number[];
  readonly VIEWS?: readonly JsonView[];
  readonly VARIADIC_DATA_BUFFERS?: readonly string[];
  readonly children?: readonly JsonColumn[];
}

interface JsonView {
  readonly SIZE: number;
  readonly INLINED?: string;
  readonly BUFFER_INDEX?: number;
  readonly OFFSET?: number;
}

const UNIT: Readonly<Record<string, bigint>> = {
  DAY: 86_400_000_000_000n,
  SECOND: 1_000_000_000n,
  MILLISECOND: 1_000_000n,
  MICROSECOND: 1000n,
  NANOSECOND: 1n,
};

/** Returns the values of each column that the suite expects. */
export function expectedColumns(path: string): Value[][] {
  const json = JSON.parse(gunzipSync(readFileSync(path)).toString(), exactIntegers) as SuiteJson;
  const reader = new JsonReader(json);
  return json.schema.fields.map((field, i) =>
    json.batches.flatMap(({ count, columns }) =>
      Array.from({ length: count }, (_, row) => reader.valueAt(field, columns[i] as JsonColumn, row)),
    ),
  );
}

/** Integers beyond 2^53 stay texts. */
function exactIntegers(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  const source = context?.source;
  return typeof value === "number" && source !== undefined && /^-?\d{16,}$/.test(source) ? source : value;
}

class JsonReader {
  readonly #dictionaries: ReadonlyMap<number, JsonColumn>;

  constructor({ dictionaries = [] }: SuiteJson) {
    this.#dictionaries = new Map(dictionaries.map(({ id, data }) => [id, data.columns[0] as JsonColumn]));
  }

  valueAt(field: JsonField, column: JsonColumn, index: number): Value {
    const { name } = field.type;
    if (name === "null" && field.dictionary === undefined) return null;
    if (name === "union" && field.dictionary === undefined) return this.#union(field, column, index);
    if (column.VALIDITY?.[index] === 0) return null;
    if (field.dictionary !== undefined) {
      const { dictionary, ...plain } = field;
      return this.valueAt(
        plain,
        this.#dictionaries.get(dictionary.id) as JsonColumn,
        Number(column.DATA?.[index]),
      );
    }
    return column.VIEWS === undefined ? this.#present(field, column, index) : viewAt(name, column, index);
  }

  #union({ type, children }: JsonField, column: JsonColumn, index: number): Value {
    const id = column.TYPE_ID?.[index] as number;
    const child = (type.typeIds ?? []).indexOf(id);
    const at = type.mode === "DENSE" ? Number(column.OFFSET?.[index]) : index;
    return [id, this.valueAt(children[child] as JsonField, column.children?.[child] as JsonColumn, at)];
  }

  #present(field: JsonField, column: JsonColumn, index: number): Value {
    const { type, children } = field;
    const items = (begin: number, end: number) =>
      Array.from({ length: end - begin }, (_, i) =>
        this.valueAt(children[0] as JsonField, column.children?.[0] as JsonColumn, begin + i),
      );
    const list = () => items(Number(column.OFFSET?.[index]), Number(column.OFFSET?.[index + 1]));
    switch (type.name) {
      case "struct":
        return children.map((child, i) => [
          child.name,
          this.valueAt(child, column.children?.[i] as JsonColumn, index),
        ]);
      case "list":
      case "largelist":
        return list();
      case "map":
        return list().map((entry) =>
          (entry as readonly (readonly Value[])[]).map((pair) => pair[1] as Value),
        );
      case "fixedsizelist":
        return items(index * (type.listSize ?? 0), (index + 1) * (type.listSize ?? 0));
      default:
        return leafOf(type, column.DATA?.[index]);
    }
  }
}

function leafOf(type: JsonField["type"], value: unknown): Value {
  switch (type.name) {
    case "bool":
      return value === true || value === 1;
    case "int":
    case "decimal":
      return String(value);
    case "floatingpoint":
      return type.precision === "SINGLE" ? Math.fround(Number(value)) : Number(value);
    case "date":
    case "time":
    case "timestamp":
    case "duration":
      return `${BigInt(value as string) * (UNIT[type.unit ?? ""] as bigint)}${type.timezone ? "Z" : ""}`;
    case "interval":
    case "interval_mdn":
      return typeof value === "object" ? Object.values(value as object).map(String) : String(value);
    default:
      return String(value);
  }
}

function viewAt(type: string, { VIEWS, VARIADIC_DATA_BUFFERS }: JsonColumn, index: number): Value {
  const view = VIEWS?.[index] as JsonView;
  if (view.INLINED !== undefined) return view.INLINED;
  const start = 2 * (view.OFFSET ?? 0);
  const hex = VARIADIC_DATA_BUFFERS?.[view.BUFFER_INDEX ?? 0]?.slice(start, start + 2 * view.SIZE) ?? "";
  return type === "utf8view" ? Buffer.from(hex, "hex").toString() : hex;
}
