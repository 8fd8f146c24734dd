/**
 * Returns the text of a double, or of a 32-bit float, as Spark prints it: `1.0`, `1.0E10`,
 * `Infinity`. It has as many digits as tell the number from its neighbours.
 */
export function floatText(value: number, isSingle: boolean): string {
  if (!Number.isFinite(value)) return String(value);
  if (value === 0) return Object.is(value, -0) ? "-0.0" : "0.0";
  const [mantissa = "", power = ""] = shortest(value, isSingle).split("e");
  const sign = value < 0 ? "-" : "";
  const digits = mantissa.replace(/[-.]/g, "");
  const exponent = Number(power);
  if (exponent < -3 || exponent >= 7) return `${sign}${withPoint(digits, 1)}E${exponent}`;
  return exponent < 0
    ? `${sign}0.${"0".repeat(-exponent - 1)}${digits}`
    : sign + withPoint(digits, exponent + 1);
}

/** Returns the number with an exponent, such as `1.5e+3`. */
function shortest(value: number, isSingle: boolean): string {
  if (!isSingle) return value.toExponential();
  let digits = 1;
  while (Math.fround(Number(value.toPrecision(digits))) !== value) digits++;
  return value.toExponential(digits - 1);
}

/** Puts a point after the first `whole` digits, and at least one digit after it. */
function withPoint(digits: string, whole: number): string {
  return `${digits.slice(0, whole).padEnd(whole, "0")}.${digits.slice(whole) || "0"}`;
}

/** Returns the text of a decimal. `scale` is the number of digits after the point. */
export function decimalText(unscaled: bigint, scale: number): string {
  if (scale === 0) return String(unscaled);
  const digits = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(scale + 1, "0");
  return `${unscaled < 0n ? "-" : ""}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}
