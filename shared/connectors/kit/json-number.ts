import { JsonNumber } from "../../contract/json.ts";

/** A number as JSON has it. A JavaScript number stands for its shortest text. */
export type ExactNumber = number | bigint | JsonNumber;

/** A decimal number: `digits` divided by 10^`scale`. */
interface Decimal {
  readonly digits: bigint;
  readonly scale: number;
}

/**
 * Limit of digits and exponents. No column holds more, and a number such as 1e999999999 must not
 * fill the memory.
 */
const MAX_DIGITS = 1000;

const NUMBER = /^(-?\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/;

export function isExactNumber(value: unknown): value is ExactNumber {
  return typeof value === "number" || typeof value === "bigint" || value instanceof JsonNumber;
}

/**
 * Reads the text of a number. Returns `undefined` for any other text, and for more digits or a
 * larger exponent than `MAX_DIGITS`.
 */
function decimalOf(text: string): Decimal | undefined {
  const [, whole, fraction = "", exponent = "0"] = NUMBER.exec(text) ?? [];
  if (whole === undefined || whole.length + fraction.length > MAX_DIGITS) return undefined;
  const scale = fraction.length - Number(exponent);
  return Math.abs(scale) > MAX_DIGITS ? undefined : { digits: BigInt(whole + fraction), scale };
}

/**
 * Returns a number times 10^`power`, or `undefined` if that is no whole number, or if it has more
 * than 1,000 digits.
 */
export function wholeNumber(value: ExactNumber | string, power = 0): bigint | undefined {
  const decimal = decimalOf(String(value));
  if (decimal === undefined) return undefined;
  const scale = decimal.scale - power;
  if (scale <= 0) return decimal.digits * 10n ** BigInt(-scale);
  const divisor = 10n ** BigInt(scale);
  return decimal.digits % divisor === 0n ? decimal.digits / divisor : undefined;
}

/** Like `wholeNumber`, but rounds down to a whole number. */
export function floorNumber(value: ExactNumber | string, power = 0): bigint | undefined {
  const decimal = decimalOf(String(value));
  if (decimal === undefined) return undefined;
  const scale = decimal.scale - power;
  if (scale <= 0) return decimal.digits * 10n ** BigInt(-scale);
  const divisor = 10n ** BigInt(scale);
  const rest = decimal.digits % divisor;
  return (decimal.digits - rest) / divisor - (rest < 0n ? 1n : 0n);
}

/** Returns the text of a number without an exponent, or `undefined` if it has too many digits. */
export function plainText(value: JsonNumber): string | undefined {
  if (!/[eE]/.test(value.source)) return value.source;
  const decimal = decimalOf(value.source);
  if (decimal === undefined) return undefined;
  const { digits, scale } = decimal;
  if (scale <= 0) return String(digits * 10n ** BigInt(-scale));
  const sign = digits < 0n ? "-" : "";
  const text = String(digits < 0n ? -digits : digits).padStart(scale + 1, "0");
  return `${sign}${text.slice(0, -scale)}.${text.slice(-scale)}`;
}

/** Returns the nearest double, or `undefined` if the number is beyond its range. */
export function nearestDouble(value: ExactNumber): number | undefined {
  const number = typeof value === "number" ? value : Number(String(value));
  return Number.isFinite(number) ? number : undefined;
}
