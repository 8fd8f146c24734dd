import { describe, expect, it } from "vitest";
import { z } from "zod";
import { dependencyMissing, loadingFirst, loadOptional } from "../../shared/contract/optional-package.ts";
import { parseOptions } from "../../shared/contract/options/parse.ts";
import { failure } from "../support/api-server.ts";

/** Returns Node's error for a missing package. */
const notFound = (what: string) =>
  Object.assign(new Error(`Cannot find package '${what}' imported from /app/node_modules/x/index.js`), {
    code: "ERR_MODULE_NOT_FOUND",
  });
const loading = (error: unknown) => () => Promise.reject(error);

describe("an optional package", () => {
  it("An optional package is loaded if it is installed", async () => {
    expect(await loadOptional("pg", async () => "module")).toBe("module");
  });

  it("A package that is not installed is DEPENDENCY_MISSING with its user and the command", async () => {
    expect(await failure(() => loadOptional("pg", loading(notFound("pg"))))).toMatchObject({
      code: "DEPENDENCY_MISSING",
      message:
        'the connector "postgres" or a PostgreSQL catalog of "iceberg" needs the package pg, which is not installed',
      hint: "npm install pg",
    });
  });

  it("A package that a bundle leaves out is DEPENDENCY_MISSING when it is loaded", async () => {
    const error = await failure(() => loadOptional("pg", () => import("../../functions/left-out.cts")));
    expect(error).toMatchObject({ code: "DEPENDENCY_MISSING" });
  });

  it.each([
    ["whose own dependency is not installed", notFound("pg-types")],
    ["of which a file is missing", notFound("/app/node_modules/pg/esm/index.mjs")],
    [
      "that needs a CommonJS module that is missing",
      Object.assign(new Error(), { code: "MODULE_NOT_FOUND" }),
    ],
    ["that fails while it is loaded", new Error("broken")],
    ["that throws what is no error", "broken"],
  ])("A package %s keeps its own error", async (_name, error) => {
    await expect(loadOptional("pg", loading(error))).rejects.toBe(error);
  });
});

describe("the options of a connector that needs an optional package", () => {
  const options = z.strictObject({ table: z.string() });

  it("The options of a connector are checked after its package is loaded", async () => {
    const calls: string[] = [];
    const schema = loadingFirst(options, async () => calls.push("loaded"));
    expect(await parseOptions({ name: "Shelf", optionsSchema: schema }, { TABLE: "t" })).toEqual({
      table: "t",
    });
    expect(calls).toEqual(["loaded"]);
  });

  it("The options of a connector are not checked if its package is missing", async () => {
    const schema = loadingFirst(options, loading(dependencyMissing("pg")));
    const error = await failure(() => parseOptions({ name: "Shelf", optionsSchema: schema }, {}));
    expect(error).toMatchObject({ code: "DEPENDENCY_MISSING" });
  });
});
