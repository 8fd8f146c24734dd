/**
 * The name of an object's Temporal class, such as `Instant`, by its tag: Node has no Temporal of
 * its own yet, and polyfills set the tag.
 */
export function temporalClass(value: unknown): string | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const tag: unknown = (value as { readonly [Symbol.toStringTag]?: unknown })[Symbol.toStringTag];
  return typeof tag === "string" && tag.startsWith("Temporal.") ? tag.slice("Temporal.".length) : undefined;
}

/**
 * A string as it is, an object of the Temporal class `name` as ISO 8601; `undefined` for anything
 * else.
 */
export function temporalText(value: unknown, name: string): string | undefined {
  if (typeof value === "string") return value;
  if (temporalClass(value) !== name) return undefined;
  const temporal = value as { toString(options: { readonly calendarName: "never" }): string };
  return temporal.toString({ calendarName: "never" });
}
