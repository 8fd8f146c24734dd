import { toStandardJsonSchema } from "@valibot/to-json-schema";
import { type } from "arktype";
import * as v from "valibot";
import { describe, expect, expectTypeOf, it } from "vitest";
import * as z from "zod";
import { ArrowTable } from "../../shared/connectors/arrow-table/index.ts";
import { OPTIONS as REST_API } from "../../shared/connectors/rest-api/options.ts";
import { DataSource } from "../../shared/contract/data-source.ts";
import { MillraceError } from "../../shared/contract/errors.ts";
import { mergeOptions } from "../../shared/contract/options/names.ts";
import { type OptionsSchema, parseOptions } from "../../shared/contract/options/parse.ts";
import { BatchPipeline, pipeline, StreamPipeline } from "../../shared/contract/pipeline.ts";
import { suggest } from "../../shared/contract/suggest.ts";

type Options = Readonly<Record<string, unknown>>;

const parse = async (optionsSchema: OptionsSchema, options: Options) =>
  await parseOptions({ name: "Shelf", optionsSchema }, options);

/** What is wrong with the options, as the error lists it. */
async function problemsOf(optionsSchema: OptionsSchema, options: Options): Promise<string[]> {
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

/** The same schema, of a library that fails where it is asked for JSON Schema. */
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
  it("are as the schema makes them, with its defaults", async () => {
    expect(await parse(schema, { path: "a" })).toEqual({ path: "a", pageSize: 100 });
    expect(await parse(schema, { path: "a", pageSize: 5 })).toEqual({ path: "a", pageSize: 5 });
  });

  it("are found under names of any case", async () => {
    expect(await parse(schema, { PATH: "a", pagesize: 5 })).toEqual({ path: "a", pageSize: 5 });
  });

  it("are refused with all that is wrong, each with its name", async () => {
    const problems = await problemsOf(schema, { path: 7, PAGESIZE: "many" });
    expect(problems.map((problem) => problem.split(":")[0])).toEqual(["path", "pageSize"]);
  });

  it("are refused without a word of what they are", async () => {
    const options = { path: ["hush-hush"], pageSize: "top-secret-7431" };
    expect((await problemsOf(schema, options)).join()).not.toMatch(/hush|secret|7431/);
    expect((await problemsOf(schema, { path: "hush-hush", pageSize: -7431 })).join()).not.toMatch(
      /hush|7431/,
    );
  });

  it("are refused where there is one that the schema does not know", async () => {
    expect((await problemsOf(schema, { path: "a", colour: 1 })).join()).toContain("colour");
  });
});

describe.each(LIBRARIES)("options whose names %s can tell", (_, schema) => {
  it("are refused with the name that may be meant, or those that there are", async () => {
    expect(await problemsOf(schema, { path: "a", pageSise: 5, colour: 1 })).toEqual([
      "pageSise: there is no such option (did you mean pageSize?)",
      "colour: there is no such option (there are pageSize, path)",
    ]);
  });

  it("are refused with unknown names and wrong values together", async () => {
    const problems = await problemsOf(schema, { pth: "a", pageSize: "x" });
    expect(problems).toHaveLength(3);
    expect(problems[0]).toBe("pth: there is no such option (did you mean path?)");
  });

  it("may not have the name of something that every object has", async () => {
    for (const name of ["constructor", "toString", "__proto__"]) {
      const options = JSON.parse(`{ "path": "a", "${name}": 1 }`) as Options;
      expect(await problemsOf(schema, options)).toEqual([
        `${name}: there is no such option (there are pageSize, path)`,
      ]);
    }
  });
});

describe("options with several problems", () => {
  it("are refused with one in a line, a single one in the line of the error", async () => {
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

describe("what is no Standard Schema", () => {
  it.each<readonly [string, unknown]>([
    ["a JSON Schema", { type: "object" }],
    ["the library's own", z],
    ["nothing", null],
  ])("is refused by name: %s", async (_, schema) => {
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
  ])("refuses it all the same, of %s", async (_, schema) => {
    expect(await problemsOf(schema, { path: "a", size: 1 })).toEqual([
      "size: there is no such option (there are path)",
    ]);
  });

  it("takes everything where it says so", async () => {
    const loose = z.looseObject({ path: z.string() });
    expect(await parse(loose, { PATH: "a", Any: 1 })).toEqual({ path: "a", Any: 1 });
    const any = z.record(z.string(), z.unknown());
    expect(await parse(any, { Any: 1 })).toEqual({ Any: 1 });
  });
});

describe("a schema of more than plain values", () => {
  const at = new Date(0);
  const log = () => undefined;

  it("of zod tells its keys in spite of transforms, refinements, dates, functions and values of other classes", async () => {
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

  it("of Valibot tells its keys in spite of transforms, checks, dates and functions", async () => {
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

  it("of ArkType tells its keys in spite of morphs, dates and functions", async () => {
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

  it("may take its time", async () => {
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

describe("a name that is unknown below an option", () => {
  const orders = { url: "https://example.com/orders", schema: "id string" };

  it("is told by the schema library, in the alternative that is meant", async () => {
    const schema = REST_API;
    const pagination = { type: "cursor", cursorPath: "next", cursorPram: "after" };
    const timeRange = { startParam: "from", endParam: "to", start: "2026-01-01T00:00:00Z", lagSecond: 5 };
    expect(await problemsOf(schema, { ...orders, pagination, timeRange })).toEqual([
      'pagination: Unrecognized key: "cursorPram"',
      'timeRange: Unrecognized key: "lagSecond"',
    ]);
    expect(
      await problemsOf(schema, { ...orders, pagination: { type: "page", first: 1, limitParm: "n" } }),
    ).toEqual(['pagination: Unrecognized key: "limitParm"']);
  });

  it("is not told where no alternative is meant", async () => {
    const problems = await problemsOf(REST_API, {
      ...orders,
      pagination: { type: "curser", cursorPath: "next", cursorPram: "after" },
    });
    expect(problems).toEqual([expect.stringMatching(/^pagination\.type: /)]);
  });

  it("is refused or dropped as the schema has it", async () => {
    const strict = z.object({ list: z.array(z.strictObject({ path: z.string() })) });
    const loose = z.object({ list: z.array(z.object({ path: z.string() })) });
    const options = { LIST: [{ path: "a", unt: "s" }] };
    expect(await problemsOf(strict, options)).toEqual(['list.0: Unrecognized key: "unt"']);
    expect(await parse(loose, options)).toEqual({ list: [{ path: "a" }] });
  });

  it("is no error where another alternative has it", async () => {
    const lists = z.union([z.array(z.object({ a: z.number() })), z.array(z.object({ b: z.number() }))]);
    const schema = z.object({ lists, any: z.array(z.unknown()).optional() });
    const options = { lists: [{ b: 1 }], any: [{ c: 1 }] };
    expect(await parse(schema, options)).toEqual(options);
    const patterns = type({ path: "string", "[/^x-/]": "string" });
    expect(await parse(patterns, { PATH: "a", "x-y": "b" })).toEqual({ path: "a", "x-y": "b" });
  });

  it("does not keep those of the top level from being known, in schemas that refer to others or to themselves", async () => {
    const place = z.object({ x: z.number() }).meta({ id: "Place" });
    const tree = z.object({
      name: z.string(),
      place: place.optional(),
      get child() {
        return tree.optional();
      },
    });
    expect(await problemsOf(tree, { name: "a", nam: "b", child: { name: "b" } })).toEqual([
      "nam: there is no such option (did you mean name?)",
    ]);
    const named = z.union([place, z.object({ y: z.number() }).meta({ id: "Other" })]);
    expect(await parse(named, { X: 1 })).toEqual({ x: 1 });
  });

  it("is no error in what may be anything", async () => {
    const schema = z.object({
      any: z.unknown(),
      free: z.record(z.string(), z.unknown()),
      url: z.instanceof(URL),
    });
    const options = { any: { a: { b: 1 } }, free: { c: { d: 1 } }, url: new URL("https://example.com") };
    expect(await parse(schema, options)).toEqual(options);
  });
});

describe("options that are one of several kinds", () => {
  const schema = z.union([
    z.object({ path: z.string() }),
    z.object({ url: z.string(), timeout: z.number() }),
  ]);

  it("are found under names of any case", async () => {
    expect(await parse(schema, { PATH: "a" })).toEqual({ path: "a" });
    expect(await parse(schema, { Url: "a", TIMEOUT: 1 })).toEqual({ url: "a", timeout: 1 });
  });

  it("may not have what none of them has", async () => {
    expect(await problemsOf(schema, { path: "a", timeut: 1 })).toEqual([
      "timeut: there is no such option (did you mean timeout?)",
    ]);
  });

  it("have what any of their parts has, where they are all of them", async () => {
    const both = z.object({ path: z.string() }).and(z.object({ size: z.number() }));
    expect(await parse(both, { PATH: "a", SIZE: 1 })).toEqual({ path: "a", size: 1 });
    const either = z
      .object({ path: z.string() })
      .and(z.union([z.object({ a: z.number() }), z.object({ b: z.number() })]));
    expect(await parse(either, { Path: "x", B: 1 })).toEqual({ path: "x", b: 1 });
    expect(await problemsOf(either, { path: "x", b: 1, c: 1 })).toEqual([
      "c: there is no such option (there are a, b, path)",
    ]);
  });
});

describe("options that are not checked", () => {
  it("are found under names of any case, and listed as they were written", async () => {
    const options: Options = await parseOptions({ name: "Shelf" }, { CaseTest: "Yes" });
    expect([options["CaseTest"], options["casetest"], options["CASETEST"]]).toEqual(["Yes", "Yes", "Yes"]);
    expect(["casetest" in options, "other" in options]).toEqual([true, false]);
    expect(options["other"]).toBeUndefined();
    expect({ ...options }).toEqual({ CaseTest: "Yes" });
    expect(JSON.stringify(options)).toBe('{"CaseTest":"Yes"}');
    const { caseTest } = options;
    expect(caseTest).toBe("Yes");
  });

  it("cannot be changed by who gets them", async () => {
    const options = (await parseOptions({ name: "Shelf" }, { a: 1 })) as Record<string, unknown>;
    expect(() => {
      options["a"] = 2;
    }).toThrow(TypeError);
    expect(options["a"]).toBe(1);
  });
});

describe("options that are set again", () => {
  it("replace those of the same name in another case", () => {
    expect(mergeOptions({ path: "a", size: 1 }, { PATH: "b" })).toEqual({ PATH: "b", size: 1 });
    expect(mergeOptions({}, { path: "a", PATH: "b" })).toEqual({ PATH: "b" });
    class Any extends DataSource {}
    const { source, sink } = pipeline("p")
      .read.format(Any)
      .option("Path", 1)
      .options({ PATH: 2, size: 3 })
      .load("there")
      .write.format(Any)
      .option("Mode", 1)
      .option("mode", 2);
    expect([source.options, sink.options]).toEqual([{ size: 3, path: "there" }, { mode: 2 }]);
  });
});

describe("a suggestion", () => {
  const names = ["pageSize", "path", "url", "q"];

  it.each([
    ["PAGE_SIZE", " (did you mean pageSize?)"],
    ["pagesise", " (did you mean pageSize?)"],
    ["pth", " (did you mean path?)"],
    ["uri", " (did you mean url?)"],
    ["x", " (there are pageSize, path, q, url)"],
    ["colour", " (there are pageSize, path, q, url)"],
  ])("for %s is%s", (name, suggestion) => {
    expect(suggest(name, names)).toBe(suggestion);
  });

  it("is none where there is nothing", () => {
    expect(suggest("x", [])).toBe("");
  });
});

describe("the type of a pipeline", () => {
  interface ShelfOptions {
    readonly path: string;
    readonly pageSize?: number;
  }
  class Shelf extends DataSource<ShelfOptions> {}
  class Checked extends DataSource<z.output<typeof zod>> {
    static readonly optionsSchema = zod;
  }

  it("knows the options of a class, checked or not", () => {
    const reading = pipeline("p").read.format(Shelf).options({ path: "a", pageSize: 1 }).option("path", "b");
    const checking = pipeline("p").readStream.format(Checked).options({ path: "a" }).option("pageSize", 1);
    // @ts-expect-error there is no such option
    reading.options({ path: "a", pageSise: 1 });
    // @ts-expect-error there is no such option
    checking.options({ path: "a", pageSise: 1 });
    // @ts-expect-error there is no such option
    reading.option("pageSise", 1);
    // @ts-expect-error there is no such option
    checking.option("pageSise", 1);
    // @ts-expect-error it is a number
    reading.option("pageSize", "1");
    // @ts-expect-error it is a number
    checking.options({ path: "a", pageSize: "1" });
    const writing = reading.write.format(Checked);
    // @ts-expect-error there is no such option
    writing.options({ pageSise: 1 });
    // @ts-expect-error there is no such option
    checking.writeStream.format(Shelf).options({ pageSise: 1 });
    // @ts-expect-error there is no such option
    reading.write.format(ArrowTable).options({ pth: "a" });
  });

  it("knows no options of a class that is named", () => {
    const anyName = (): unknown => pipeline("p").read.format("any").options({ any: 1 });
    expect(anyName).toThrow(expect.objectContaining({ code: "DATA_SOURCE_NOT_FOUND" }));
  });

  it("has save modes for batches, and triggers for streams", () => {
    const batch = pipeline("p").read.format(Shelf).load("a").write.format(Shelf);
    const stream = pipeline("p").readStream.format(Shelf).load("a").writeStream.format(Shelf);
    expectTypeOf(batch).toEqualTypeOf<BatchPipeline<ShelfOptions>>();
    expectTypeOf(stream).toEqualTypeOf<StreamPipeline<ShelfOptions>>();
    expect(batch.mode("overwrite").option("path", "x").mode("append")).toBeInstanceOf(BatchPipeline);
    expect(stream.trigger({ once: true }).option("path", "x")).toBeInstanceOf(StreamPipeline);
    // @ts-expect-error a stream appends
    expect(stream.mode).toBeUndefined();
    // @ts-expect-error a batch has one run
    expect(batch.trigger).toBeUndefined();
    // @ts-expect-error what is filtered is a batch
    expect(pipeline("p").readStream.format(Shelf).filter).toBeUndefined();
    // @ts-expect-error there is no such mode
    expect(() => batch.mode("upsert")).toThrow(expect.objectContaining({ code: "SAVE_MODE_INVALID" }));
  });

  it("has no partitions, buckets or columns of its own: a sink's options say them", () => {
    const batch = pipeline("p").read.format(Shelf).write.format(Shelf);
    // @ts-expect-error not there
    expect(batch.partitionBy).toBeUndefined();
    // @ts-expect-error not there
    expect(pipeline("p").read.format(Shelf).select).toBeUndefined();
  });
});
