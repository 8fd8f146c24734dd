import {
  type Data,
  DataType,
  DateUnit,
  type RecordBatch,
  type Timestamp,
  TimeUnit,
  Vector,
} from "apache-arrow";

/** Parts of a second, and its digits after the point, by unit. */
const FRACTIONS: Readonly<Record<TimeUnit, { readonly parts: bigint; readonly digits: number }>> = {
  [TimeUnit.SECOND]: { parts: 1n, digits: 0 },
  [TimeUnit.MILLISECOND]: { parts: 1000n, digits: 3 },
  [TimeUnit.MICROSECOND]: { parts: 1_000_000n, digits: 6 },
  [TimeUnit.NANOSECOND]: { parts: 1_000_000_000n, digits: 9 },
};

/**
 * The rows of a record batch as JSON would have them, by field name: times as ISO 8601 with all their digits, 64-bit integers as numbers
 * or, beyond 2^53, as strings, decimals as strings, bytes in base64.
 */
export function* rowsOf(batch: RecordBatch): Generator<Record<string, unknown>> {
  const columns = batch.schema.fields.map((field, i) => [field.name, batch.data.children[i]] as const);
  for (let row = 0; row < batch.numRows; row++) {
    yield Object.fromEntries(
      columns.map(([name, data]) => [name, data === undefined ? null : valueAt(data, row)]),
    );
  }
}

/** Reads the buffers of what Arrow's own accessors would round (times) or hide in a view (lists, structs, maps). */
function valueAt(data: Data, index: number): unknown {
  if (!data.getValid(index)) return null;
  const { type } = data;
  if (DataType.isTimestamp(type)) return isoOf(type, (data.values as BigInt64Array)[index] ?? 0n);
  if (DataType.isStruct(type)) {
    return Object.fromEntries(type.children.map((field, i) => [field.name, childAt(data, i, index)]));
  }
  if (DataType.isList(type)) return itemsOf(data, index);
  if (DataType.isMap(type)) {
    const entries = itemsOf(data, index) as { readonly [name: string]: unknown }[];
    const [key = "key", value = "value"] = type.childType.children.map((field) => field.name);
    return Object.fromEntries(entries.map((entry) => [String(entry[key]), entry[value]]));
  }
  return scalar(type, new Vector([data]).get(index));
}

function childAt(data: Data, child: number, index: number): unknown {
  const column = data.children[child];
  return column === undefined ? null : valueAt(column, index);
}

function itemsOf(data: Data, index: number): unknown[] {
  const items: unknown[] = [];
  const end = data.valueOffsets[index + 1] ?? 0;
  for (let i = data.valueOffsets[index] ?? 0; i < end; i++) items.push(childAt(data, 0, i));
  return items;
}

function scalar(type: DataType, value: unknown): unknown {
  if (DataType.isDate(type) && type.unit === DateUnit.DAY)
    return new Date(Number(value)).toISOString().slice(0, 10);
  if (DataType.isDecimal(type)) return decimalText(value as Uint32Array, type.scale);
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  return value;
}

/** Milliseconds are always shown, smaller parts where there are any. A time beyond JavaScript's calendar is told in its own unit. */
function isoOf(type: Timestamp, value: bigint): string {
  const { parts, digits } = FRACTIONS[type.unit];
  const fraction = ((value % parts) + parts) % parts;
  const date = new Date(Number((value - fraction) / parts) * 1000);
  if (Number.isNaN(date.getTime())) return `${value} ${TimeUnit[type.unit].toLowerCase()}s since 1970-01-01`;
  const shown = String(fraction)
    .padStart(digits, "0")
    .replace(/(?<=^\d{6})000$/, "")
    .replace(/(?<=^\d{3})000$/, "");
  return `${date.toISOString().slice(0, -5)}${digits === 0 ? "" : `.${shown}`}${type.timezone ? "Z" : ""}`;
}

/** Little-endian words of a two's complement number, with a point `scale` digits from the right. */
function decimalText(words: Uint32Array, scale: number): string {
  let unscaled = 0n;
  for (let i = words.length - 1; i >= 0; i--) unscaled = (unscaled << 32n) | BigInt(words[i] ?? 0);
  unscaled = BigInt.asIntN(words.length * 32, unscaled);
  const digits = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(scale + 1, "0");
  const sign = unscaled < 0n ? "-" : "";
  return scale === 0 ? sign + digits : `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}
