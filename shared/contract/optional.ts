/**
 * Returns `{ [name]: value }`, or `{}` if the value is `undefined`. Spread it into an object
 * literal.
 */
export function optional<K extends string, T>(name: K, value: T | undefined): { [key in K]?: T } {
  return value === undefined ? {} : ({ [name]: value } as { [key in K]: T });
}
