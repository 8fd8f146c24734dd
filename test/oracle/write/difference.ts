import type { Call } from "../trace.ts";

/** The first difference between a recording and its replay. */
export class Difference extends Error {}

export function differ(where: string, spark: string, millrace: string): never {
  throw new Difference(`${where}\n  Spark:    ${spark}\n  Millrace: ${millrace}`);
}

export function shown(call: Call | undefined): string {
  return call === undefined ? "nothing" : `${call.call} ${JSON.stringify(call.args)}`;
}
