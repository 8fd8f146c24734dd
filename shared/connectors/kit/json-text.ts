/** A number of JSON text that a double would round, as it was written. */
export class JsonNumber {
  readonly source: string;

  constructor(source: string) {
    this.source = source;
  }
}

/**
 * JSON whose integers beyond 2^53 come as bigint instead of losing their last digits. With `decimals`, numbers with a fraction of more digits than a
 * double surely keeps come as `JsonNumber`.
 */
export function parseJson(text: string, { decimals = false }: { readonly decimals?: boolean } = {}): unknown {
  if (!(decimals ? /[\d.]{16}/ : /\d{16}/).test(text)) return JSON.parse(text);
  const revive = (_key: string, value: unknown, context?: { readonly source?: string }): unknown => {
    if (typeof value !== "number") return value;
    const source = context?.source ?? "";
    if (/^-?\d+$/.test(source)) return Number.isSafeInteger(value) ? value : BigInt(source);
    return decimals && source.length > 15 ? new JsonNumber(source) : value;
  };
  return JSON.parse(text, revive);
}
