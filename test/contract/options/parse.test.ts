import { toStandardJsonSchema } from "@valibot/to-json-schema";
import { type } from "arktype";
import * as v from "valibot";
import { describe, expect, it } from "vitest";
import * as z from "zod";
import type { OptionsSchema } from "../../../shared/contract/options/parse.ts";
import { parse, problemsOf } from "./problems.ts";

type Options = Readonly<Record<string, unknown>>;

const zod = z.strictObject({ path: z.string(), pageSize: z.int().positive().default(100) });
const valibot = v.strictObject({
  path: v.string(),
  pageSize: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1)), 100),
});
const arktype = type({ "+": "reject", path: "string", pageSize: "number.integer > 0 = 100" });

const LIBRARIES: readonly (readonly [string, OptionsSchema])[] = [
  ["zod", zod],
  ["ArkType", arktype],
  ["Valibot, with its JSON Schema", toStandardJsonSchema(valibot)],
];
const WITHOUT_KEYS: readonly (readonly [string, OptionsSchema])[] = [
  ["Valibot, which alone has no JSON Schema", valibot],
  ["a schema whose JSON Schema cannot be made", unrepresentable(zod)],
];

/** Returns a copy of the schema whose conversion to JSON Schema throws. */
function unrepresentable(schema: OptionsSchema): OptionsSchema {
  const jsonSchema = {
    input: () => {
      throw new Error("no such thing");
    },
  };
  const { version, vendor, validate } = schema["~standard"];
  return { "~standard": { version, vendor, validate, jsonSchema } } as OptionsSchema;
}

describe.each([...LIBRARIES, ...WITHOUT_KEYS])("options that are checked by %s", (_, schema) => {
  it("Checked options are as the schema makes them, with its defaults", async () => {
    expect(await parse(schema, { path: "a" })).toEqual({ path: "a", pageSize: 100 });
    expect(await parse(schema, { path: "a", pageSize: 5 })).toEqual({ path: "a", pageSize: 5 });
  });

  it("Checked options are found under names of any case", async () => {
    expect(await parse(schema, { PATH: "a", pagesize: 5 })).toEqual({ path: "a", pageSize: 5 });
  });

  it("The error of checked options lists each wrong one with its name", async () => {
    const problems = await problemsOf(schema, { path: 7, PAGESIZE: "many" });
    expect(problems.map((problem) => problem.split(":")[0])).toEqual(["path", "pageSize"]);
  });

  it("The error of checked options does not show their values", async () => {
    const options = { path: ["hush-hush"], pageSize: "top-secret-7431" };
    expect((await problemsOf(schema, options)).join()).not.toMatch(/hush|secret|7431/);
    expect((await problemsOf(schema, { path: "hush-hush", pageSize: -7431 })).join()).not.toMatch(
      /hush|7431/,
    );
  });

  it("Checked options are refused if the schema does not know one", async () => {
    expect((await problemsOf(schema, { path: "a", colour: 1 })).join()).toContain("colour");
  });
});

describe.each(LIBRARIES)("options whose names %s knows", (_, schema) => {
  it("The error of an unknown option suggests a similar name or lists the known ones", async () => {
    expect(await problemsOf(schema, { path: "a", pageSise: 5, colour: 1 })).toEqual([
      "pageSise: there is no such option (did you mean pageSize?)",
      "colour: there is no such option (there are pageSize, path)",
    ]);
  });

  it("The error of options lists unknown names and wrong values together", async () => {
    const problems = await problemsOf(schema, { pth: "a", pageSize: "x" });
    expect(problems).toHaveLength(3);
    expect(problems[0]).toBe("pth: there is no such option (did you mean path?)");
  });

  it("Options may not have the name of a property that every object has", async () => {
    for (const name of ["constructor", "toString", "__proto__"]) {
      const options = JSON.parse(`{ "path": "a", "${name}": 1 }`) as Options;
      expect(await problemsOf(schema, options)).toEqual([
        `${name}: there is no such option (there are pageSize, path)`,
      ]);
    }
  });
});

describe("options with several problems", () => {
  it("The error of several problems has one per line, and a single problem in its first line", async () => {
    const single = {
      message: "Shelf cannot use its options: colour: there is no such option (there are path)",
    };
    const schema = z.strictObject({ path: z.string() });
    await expect(parse(schema, { path: "a", colour: 1 })).rejects.toMatchObject(single);
    const several = {
      message: [
        "Shelf cannot use its options:",
        "- pth: there is no such option (did you mean path?)",
        "- path: Invalid input: expected string, received undefined",
      ].join("\n"),
    };
    await expect(parse(schema, { pth: "a" })).rejects.toMatchObject(several);
  });
});

describe("a value that is no Standard Schema", () => {
  it.each<readonly [string, unknown]>([
    ["a JSON Schema", { type: "object" }],
    ["the library's own", z],
    ["nothing", null],
  ])("A value that is no Standard Schema is refused by name: %s", async (_, schema) => {
    await expect(parse(schema as OptionsSchema, { path: "a" })).rejects.toMatchObject({
      code: "OPTIONS_INVALID",
      message: "optionsSchema of Shelf is no Standard Schema",
      hint: expect.stringContaining("zod, Valibot, ArkType") as string,
    });
  });
});

describe("a schema that would drop what it does not know", () => {
  it.each<readonly [string, OptionsSchema]>([
    ["zod", z.object({ path: z.string() })],
    ["Valibot", toStandardJsonSchema(v.object({ path: v.string() }))],
    ["ArkType", type({ path: "string" })],
  ])("A schema of %s that would drop unknown options refuses them, too", async (_, schema) => {
    expect(await problemsOf(schema, { path: "a", size: 1 })).toEqual([
      "size: there is no such option (there are path)",
    ]);
  });

  it("A schema takes all options if it says so", async () => {
    const loose = z.looseObject({ path: z.string() });
    expect(await parse(loose, { PATH: "a", Any: 1 })).toEqual({ path: "a", Any: 1 });
    const any = z.record(z.string(), z.unknown());
    expect(await parse(any, { Any: 1 })).toEqual({ Any: 1 });
  });
});

describe("a schema of more than plain values", () => {
  const at = new Date(0);
  const log = () => undefined;

  it("A schema of zod tells its keys despite transforms, refinements, dates, functions and classes", async () => {
    const schema = z
      .strictObject({
        path: z.string().transform((path) => path.length),
        since: z.date().optional(),
        onEvent: z.function().optional(),
        client: z.custom<URL>((value) => value instanceof URL).optional(),
        limit: z.bigint().optional(),
        size: z.preprocess(Number, z.number()).optional(),
        kind: z.string().pipe(z.coerce.number()).optional(),
      })
      .refine(({ path }) => path > 0, "there must be a path")
      .transform((options) => ({ ...options, more: true }));
    const client = new URL("https://example.com");
    const options = { PATH: "abc", Since: at, onevent: log, CLIENT: client, limit: 5n, size: "7" };
    const parsed = {
      path: 3,
      since: at,
      onEvent: expect.any(Function),
      client,
      limit: 5n,
      size: 7,
      more: true,
    };
    expect(await parse(schema, options)).toEqual(parsed);
    expect(await problemsOf(schema, { path: "abc", onEvnt: log })).toEqual([
      "onEvnt: there is no such option (did you mean onEvent?)",
    ]);
    expect(await problemsOf(schema, { path: "" })).toEqual(["options: there must be a path"]);
  });

  it("A schema of Valibot tells its keys despite transforms, checks, dates and functions", async () => {
    const schema = v.strictObject({
      path: v.pipe(
        v.string(),
        v.transform((path) => path.length),
      ),
      since: v.optional(v.date()),
      onEvent: v.optional(v.function()),
      client: v.optional(v.custom<URL>((value) => value instanceof URL)),
    });
    const known = toStandardJsonSchema(schema);
    const options = { PATH: "abc", since: at, ONEVENT: log };
    expect(await parse(known, options)).toEqual({ path: 3, since: at, onEvent: log });
    expect(await problemsOf(known, { path: "abc", sinse: at })).toEqual([
      "sinse: there is no such option (did you mean since?)",
    ]);
  });

  it("A schema of ArkType tells its keys despite morphs, dates and functions", async () => {
    const schema = type({
      path: type("string").pipe((path) => path.length),
      "since?": "Date",
      "onEvent?": "Function",
      size: "number = 5",
    });
    const options = { PATH: "abc", since: at, ONEVENT: log };
    expect(await parse(schema, options)).toEqual({ path: 3, since: at, onEvent: log, size: 5 });
    expect(await problemsOf(schema, { path: "abc", sinse: at })).toEqual([
      "sinse: there is no such option (did you mean since?)",
    ]);
  });

  it("A schema may check options asynchronously", async () => {
    const isThere = async (path: string) => path === "there";
    const options = { path: "there" };
    const schemas = [
      z.strictObject({ path: z.string().refine(isThere, "is not there") }),
      v.strictObjectAsync({ path: v.pipeAsync(v.string(), v.checkAsync(isThere, "is not there")) }),
    ];
    for (const schema of schemas) {
      expect(await parse(schema, options)).toEqual(options);
      expect(await problemsOf(schema, { path: "gone" })).toEqual(["path: is not there"]);
    }
  });
});
