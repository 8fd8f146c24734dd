import type { Ledger } from "../../../shared/engine/ports/ledger.ts";

/**
 * Returns a ledger that loses the answers of the first `times` calls of `method`. Such a call takes
 * effect and then throws.
 */
export function losingAnswers(ledger: Ledger, method: keyof Ledger, times = 1): Ledger {
  let left = times;
  return new Proxy(ledger, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property);
      if (typeof value !== "function") return value;
      return async (...args: unknown[]): Promise<unknown> => {
        const result: unknown = await (value as (...a: unknown[]) => unknown).apply(target, args);
        if (property === method && left-- > 0) throw new Error(`the answer of ${method} was lost`);
        return result;
      };
    },
  });
}
