/**
 * Returns the class name of a Temporal object, such as `Instant`. It reads the object's
 * `Symbol.toStringTag`, because Node has no Temporal classes yet and polyfills set the tag.
 */
export function temporalClass(value: unknown): string | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const tag: unknown = (value as { readonly [Symbol.toStringTag]?: unknown })[Symbol.toStringTag];
  return typeof tag === "string" && tag.startsWith("Temporal.") ? tag.slice("Temporal.".length) : undefined;
}

/**
 * Returns a string unchanged, and an object of the Temporal class `name` as ISO 8601. Returns
 * `undefined` for anything else.
 */
export function temporalText(value: unknown, name: string): string | undefined {
  if (typeof value === "string") return value;
  if (temporalClass(value) !== name) return undefined;
  const temporal = value as { toString(options: { readonly calendarName: "never" }): string };
  return temporal.toString({ calendarName: "never" });
}
