import { isPlainObject } from "../../contract/json.ts";
import { plainName } from "./column-names.ts";

/**
 * Walks along the steps to the first that is not there. Returns the path of a name beside it that
 * differs only in case, `_`, `-`, spaces or dots.
 */
export function similarPath(
  record: unknown,
  steps: readonly string[],
  known: ReadonlySet<string> = new Set(),
): readonly string[] | undefined {
  let at = record;
  for (const [i, step] of steps.entries()) {
    if (!isPlainObject(at)) return undefined;
    if (Object.hasOwn(at, step)) {
      at = at[step];
      continue;
    }
    const wanted = new Set([withoutDots(step), withoutDots(steps.slice(i).join(""))]);
    const names = Object.keys(at).filter((name) => i > 0 || !known.has(name));
    const name = names.find((each) => withoutDots(each) !== "" && wanted.has(withoutDots(each)));
    return name === undefined ? undefined : [...steps.slice(0, i), name];
  }
  return undefined;
}

function withoutDots(name: string): string {
  return plainName(name).replaceAll(".", "");
}
