/** Converts a value to JSON and back, as if it was sent to another process. */
export function throughJson<T>(value: T): T {
  return value === undefined ? value : (JSON.parse(JSON.stringify(value)) as T);
}
