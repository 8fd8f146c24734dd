import { type } from "arktype";
import { describe, expect, it } from "vitest";
import * as z from "zod";
import { OPTIONS as REST_API } from "../../../shared/connectors/rest-api/options.ts";
import { DataSource } from "../../../shared/contract/data-source.ts";
import { mergeOptions } from "../../../shared/contract/options/names.ts";
import { parseOptions } from "../../../shared/contract/options/parse.ts";
import { pipeline } from "../../../shared/contract/pipeline.ts";
import { parse, problemsOf } from "./problems.ts";

type Options = Readonly<Record<string, unknown>>;

describe("an unknown name below an option", () => {
  const orders = { url: "https://example.com/orders", schema: "id string" };

  it("The schema library reports an unknown name below an option in the matching alternative", async () => {
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

  it("An unknown name below an option is not reported if no alternative matches", async () => {
    const problems = await problemsOf(REST_API, {
      ...orders,
      pagination: { type: "curser", cursorPath: "next", cursorPram: "after" },
    });
    expect(problems).toEqual([expect.stringMatching(/^pagination\.type: /)]);
  });

  it("An unknown name below an option is refused or dropped as the schema says", async () => {
    const strict = z.object({ list: z.array(z.strictObject({ path: z.string() })) });
    const loose = z.object({ list: z.array(z.object({ path: z.string() })) });
    const options = { LIST: [{ path: "a", unt: "s" }] };
    expect(await problemsOf(strict, options)).toEqual(['list.0: Unrecognized key: "unt"']);
    expect(await parse(loose, options)).toEqual({ list: [{ path: "a" }] });
  });

  it("An unknown name below an option is no error if another alternative has it", async () => {
    const lists = z.union([z.array(z.object({ a: z.number() })), z.array(z.object({ b: z.number() }))]);
    const schema = z.object({ lists, any: z.array(z.unknown()).optional() });
    const options = { lists: [{ b: 1 }], any: [{ c: 1 }] };
    expect(await parse(schema, options)).toEqual(options);
    const patterns = type({ path: "string", "[/^x-/]": "string" });
    expect(await parse(patterns, { PATH: "a", "x-y": "b" })).toEqual({ path: "a", "x-y": "b" });
  });

  it("Options keep their known names in schemas that refer to others or to themselves", async () => {
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

  it("An unknown name is no error in a value of any type", async () => {
    const schema = z.object({
      any: z.unknown(),
      free: z.record(z.string(), z.unknown()),
      url: z.instanceof(URL),
    });
    const options = { any: { a: { b: 1 } }, free: { c: { d: 1 } }, url: new URL("https://example.com") };
    expect(await parse(schema, options)).toEqual(options);
  });
});

describe("options of several kinds", () => {
  const schema = z.union([
    z.object({ path: z.string() }),
    z.object({ url: z.string(), timeout: z.number() }),
  ]);

  it("Options of several kinds are found under names of any case", async () => {
    expect(await parse(schema, { PATH: "a" })).toEqual({ path: "a" });
    expect(await parse(schema, { Url: "a", TIMEOUT: 1 })).toEqual({ url: "a", timeout: 1 });
  });

  it("Options of several kinds are refused if no kind has them", async () => {
    expect(await problemsOf(schema, { path: "a", timeut: 1 })).toEqual([
      "timeut: there is no such option (did you mean timeout?)",
    ]);
  });

  it("Options that combine several schemas may have the names of each", async () => {
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
  it("Options that are not checked are found under names of any case and listed as written", async () => {
    const options: Options = await parseOptions({ name: "Shelf" }, { CaseTest: "Yes" });
    expect([options["CaseTest"], options["casetest"], options["CASETEST"]]).toEqual(["Yes", "Yes", "Yes"]);
    expect(["casetest" in options, "other" in options]).toEqual([true, false]);
    expect(options["other"]).toBeUndefined();
    expect({ ...options }).toEqual({ CaseTest: "Yes" });
    expect(JSON.stringify(options)).toBe('{"CaseTest":"Yes"}');
    const { caseTest } = options;
    expect(caseTest).toBe("Yes");
  });

  it("Options that are not checked cannot be changed by their reader", async () => {
    const options = (await parseOptions({ name: "Shelf" }, { a: 1 })) as Record<string, unknown>;
    expect(() => {
      options["a"] = 2;
    }).toThrow(TypeError);
    expect(options["a"]).toBe(1);
  });
});

describe("options that are set again", () => {
  it("Options that are set again replace those of the same name in another case", () => {
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
