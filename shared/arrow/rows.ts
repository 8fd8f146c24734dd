import { DataType, DateUnit, type RecordBatch, type Timestamp, TimeUnit, Vector } from "apache-arrow";

const MICROS_PER_UNIT: Readonly<Record<TimeUnit, number>> = {
  [TimeUnit.SECOND]: 1e6,
  [TimeUnit.MILLISECOND]: 1e3,
  [TimeUnit.MICROSECOND]: 1,
  [TimeUnit.NANOSECOND]: 1e-3,
};

/**
 * The rows of a record batch as JSON would have them, by field name: times as ISO 8601 to the microsecond, 64-bit integers as numbers or,
 * beyond 2^53, as strings, decimals as strings, bytes in base64.
 */
export function* rowsOf(batch: RecordBatch): Generator<Record<string, unknown>> {
  const columns = batch.schema.fields.map((field, i) => ({
    name: field.name,
    type: field.type,
    values: batch.getChildAt(i),
  }));
  for (let row = 0; row < batch.numRows; row++) {
    yield Object.fromEntries(
      columns.map(({ name, type, values }) => [name, toJson(type as DataType, values?.get(row))]),
    );
  }
}

function toJson(type: DataType, value: unknown): unknown {
  if (value === null || value === undefined) return null;
  if (DataType.isTimestamp(type)) return isoOf(type, Number(value));
  if (DataType.isDate(type) && type.unit === DateUnit.DAY)
    return new Date(Number(value)).toISOString().slice(0, 10);
  if (DataType.isDecimal(type)) return decimalText(value as Uint32Array, type.scale);
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (DataType.isList(type) && value instanceof Vector)
    return Array.from(value as Iterable<unknown>, (item) => toJson(type.valueType, item));
  if (DataType.isStruct(type)) {
    const fields = value as Record<string, unknown>;
    return Object.fromEntries(
      type.children.map((field) => [field.name, toJson(field.type as DataType, fields[field.name])]),
    );
  }
  if (DataType.isMap(type)) {
    return Object.fromEntries(
      Array.from(value as Iterable<[unknown, unknown]>, ([key, item]) => [
        String(toJson(type.keyType, key)),
        toJson(type.valueType, item),
      ]),
    );
  }
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  return value;
}

/** Arrow gives any timestamp as milliseconds, with a fraction; a double holds microseconds until the year 2255. */
function isoOf(type: Timestamp, millis: number): string {
  const micros = Math.round(millis * 1000);
  const whole = Math.floor(micros / 1e6);
  const fraction = micros - whole * 1e6;
  const seconds = new Date(whole * 1000).toISOString().slice(0, 19);
  const digits =
    MICROS_PER_UNIT[type.unit] >= 1e6
      ? ""
      : `.${fraction % 1000 === 0 ? String(fraction / 1000).padStart(3, "0") : String(fraction).padStart(6, "0")}`;
  return `${seconds}${digits}${type.timezone ? "Z" : ""}`;
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
