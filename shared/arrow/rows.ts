import {
  type Data,
  DataType,
  DateUnit,
  type Duration,
  type RecordBatch,
  type Time,
  type Timestamp,
  TimeUnit,
  Vector,
} from "apache-arrow";

/** Number of time units in a second, and number of fractional digits of a second, by time unit. */
const FRACTIONS: Readonly<Record<TimeUnit, { readonly parts: bigint; readonly digits: number }>> = {
  [TimeUnit.SECOND]: { parts: 1n, digits: 0 },
  [TimeUnit.MILLISECOND]: { parts: 1000n, digits: 3 },
  [TimeUnit.MICROSECOND]: { parts: 1_000_000n, digits: 6 },
  [TimeUnit.NANOSECOND]: { parts: 1_000_000_000n, digits: 9 },
};

/** Returns the value at an index of a column. */
type ValueReader = (index: number) => unknown;

/**
 * Returns the rows of a record batch as objects with JSON values. Times are ISO 8601 with all
 * digits. 64-bit integers are numbers, or strings if they are beyond 2^53. Decimals are strings,
 * and bytes are base64.
 */
export function* rowsOf(batch: RecordBatch): Generator<Record<string, unknown>> {
  const columns = batch.schema.fields.map(({ name }, i) => [name, childReader(batch.data, i)] as const);
  for (let row = 0; row < batch.numRows; row++) {
    yield Object.fromEntries(columns.map(([name, read]) => [name, read(row)]));
  }
}

function childReader(data: Data, child: number): ValueReader {
  const column = data.children[child];
  return column === undefined ? () => null : readerOf(column);
}

function readerOf(data: Data): ValueReader {
  const read = valueReader(data);
  return (index) => (data.getValid(index) ? read(index) : null);
}

/**
 * Reads times, lists, structs and maps from the buffers, because Arrow's own accessors round times
 * and return views for nested values.
 */
function valueReader(data: Data): ValueReader {
  const { type } = data;
  if (DataType.isTimestamp(type)) return (index) => formatTimestamp(type, integerAt(data, index));
  if (DataType.isTime(type)) return (index) => formatTime(type, integerAt(data, index));
  if (DataType.isDuration(type)) return (index) => formatDuration(type, integerAt(data, index));
  if (DataType.isDate(type) && type.unit === DateUnit.DAY)
    return (index) => formatDate(integerAt(data, index));
  if (DataType.isStruct(type)) {
    const children = type.children.map(({ name }, i) => [name, childReader(data, i)] as const);
    return (index) => Object.fromEntries(children.map(([name, read]) => [name, read(index)]));
  }
  if (DataType.isList(type)) {
    const read = childReader(data, 0);
    return (index) => itemIndexes(data, index).map((place) => read(place));
  }
  if (DataType.isMap(type)) {
    const entries = data.children[0];
    if (entries === undefined) return () => ({});
    const [key, value] = [childReader(entries, 0), childReader(entries, 1)];
    return (index) =>
      Object.fromEntries(itemIndexes(data, index).map((place) => [String(key(place)), value(place)]));
  }
  const vector = new Vector([data]);
  return (index) => scalarToJson(type, vector.get(index));
}

function integerAt(data: Data, index: number): bigint {
  return BigInt((data.values as BigInt64Array | Int32Array)[index] ?? 0);
}

/** Returns the indexes of a list's items within the child column. */
function itemIndexes(data: Data, index: number): number[] {
  const begin = data.valueOffsets[index] ?? 0;
  return Array.from({ length: (data.valueOffsets[index + 1] ?? begin) - begin }, (_, i) => begin + i);
}

function scalarToJson(type: DataType, value: unknown): unknown {
  if (DataType.isDecimal(type)) return formatDecimal(value as Uint32Array, type.scale);
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  return value;
}

/**
 * Formats a date as ISO 8601. A date outside the range of JavaScript's Date is written as its
 * number of days.
 */
function formatDate(days: bigint): string {
  const date = new Date(Number(days) * 86_400_000);
  if (Number.isNaN(date.getTime())) return `${days} days since 1970-01-01`;
  return date.toISOString().slice(0, -"T00:00:00.000Z".length);
}

function formatTimestamp(type: Timestamp, value: bigint): string {
  const { parts } = FRACTIONS[type.unit];
  const fraction = ((value % parts) + parts) % parts;
  const date = new Date(Number((value - fraction) / parts) * 1000);
  if (Number.isNaN(date.getTime())) return `${value} ${TimeUnit[type.unit].toLowerCase()}s since 1970-01-01`;
  return `${date.toISOString().slice(0, -5)}${formatFraction(type, fraction)}${type.timezone ? "Z" : ""}`;
}

function formatTime(type: Time, value: bigint): string {
  const { parts } = FRACTIONS[type.unit];
  const second = new Date(Number(value / parts) * 1000).toISOString().slice(11, 19);
  return `${second}${formatFraction(type, value % parts)}`;
}

/**
 * Formats the fraction of a second. Milliseconds are always written if the unit has them, smaller
 * digits only if they are not zero.
 */
function formatFraction({ unit }: { readonly unit: TimeUnit }, fraction: bigint): string {
  const { digits } = FRACTIONS[unit];
  if (digits === 0) return "";
  const shown = String(fraction).padStart(digits, "0");
  return `.${shown.replace(/(?<=^\d{6})000$/, "").replace(/(?<=^\d{3})000$/, "")}`;
}

function formatDuration(type: Duration, value: bigint): string {
  const { parts, digits } = FRACTIONS[type.unit];
  const size = value < 0n ? -value : value;
  const fraction =
    digits === 0
      ? ""
      : String(size % parts)
          .padStart(digits, "0")
          .replace(/0+$/, "");
  const seconds = size / parts;
  const part = (count: bigint | string, unit: string) =>
    count === 0n || count === "0" ? "" : `${count}${unit}`;
  const time = [
    part((seconds / 3600n) % 24n, "H"),
    part((seconds / 60n) % 60n, "M"),
    part(`${seconds % 60n}${fraction === "" ? "" : `.${fraction}`}`, "S"),
  ].join("");
  const text = `${part(seconds / 86_400n, "D")}${time === "" ? "" : `T${time}`}`;
  return `${value < 0n ? "-" : ""}P${text === "" ? "T0S" : text}`;
}

/**
 * Formats a decimal. `words` holds a two's complement integer, lowest word first, and `scale` is
 * the number of fractional digits.
 */
function formatDecimal(words: Uint32Array, scale: number): string {
  let unscaled = 0n;
  for (let i = words.length - 1; i >= 0; i--) unscaled = (unscaled << 32n) | BigInt(words[i] ?? 0);
  unscaled = BigInt.asIntN(words.length * 32, unscaled);
  const digits = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(scale + 1, "0");
  const sign = unscaled < 0n ? "-" : "";
  return scale === 0 ? sign + digits : `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}
