import { expect } from "vitest";
import { MillraceError } from "../../../shared/contract/errors.ts";
import { type OptionsSchema, parseOptions } from "../../../shared/contract/options/parse.ts";

type Options = Readonly<Record<string, unknown>>;

export async function parse(optionsSchema: OptionsSchema, options: Options): Promise<unknown> {
  return await parseOptions({ name: "Shelf", optionsSchema }, options);
}

/** Returns the problems of the options that the error lists. */
export async function problemsOf(optionsSchema: OptionsSchema, options: Options): Promise<string[]> {
  const error: unknown = await parse(optionsSchema, options).then(
    (output) => new Error(`they were taken: ${JSON.stringify(output)}`),
    (thrown: unknown) => thrown,
  );
  if (!MillraceError.is(error)) throw error;
  expect(error.code).toBe("OPTIONS_INVALID");
  expect(error.hint).toBe("Correct the options of .format(Shelf) in the pipeline.");
  const [, list = ""] = /^Shelf cannot use its options:(?: |\n- )(.*)$/s.exec(error.message) ?? [];
  return list.split("\n- ");
}
