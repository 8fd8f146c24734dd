import { describe, expect, it } from "vitest";
import { failure, type Reply, runtimeAt } from "../../../support/api-server.ts";
import { appendTo, catalogSuite, loaded, NEW_TABLE, newName } from "./catalog.suite.ts";
import { client, open } from "./open.ts";
import { type Fault, problem, serveCatalog } from "./rest-server.ts";

catalogSuite("a REST catalog in this process", async () => {
  const { uri } = await serveCatalog();
  return { open: async () => await open({ type: "rest", uri }) };
});

const HTML: Reply = {
  status: 503,
  text: "<html><body><h1>Bad gateway</h1></body></html>",
  headers: { "content-type": "text/html" },
};

/** Makes each commit fail in a way. */
function atCommits(fault: Fault) {
  return (asked: { method: string; url: URL }): Fault =>
    asked.method === "POST" && /\/tables\/[^/]+$/.test(asked.url.pathname) ? fault : undefined;
}

describe("the outcome of a commit", () => {
  const UNKNOWN: readonly (readonly [string, Fault, boolean])[] = [
    ["500 after it took effect", { after: problem(500, "CommitStateUnknownException") }, true],
    ["502 with a body of HTML after it took effect", { after: { ...HTML, status: 502 } }, true],
    ["504 after it took effect", { after: problem(504, "CommitStateUnknownException") }, true],
    ["a connection that breaks after it took effect", "cut after", true],
    ["a connection that breaks before it took effect", "cut before", false],
    ["500 with no effect", problem(500, "InternalServerError"), false],
    ["503 with Retry-After and no effect", { ...HTML, headers: { "retry-after": "1" } }, false],
    ["200 with a body that is not JSON", { after: { text: "<html>Please sign in</html>" } }, true],
  ];
  for (const [what, fault, landed] of UNKNOWN)
    it(`The outcome of a commit is unknown, and it is sent once, after ${what}`, async () => {
      let isBroken = false;
      const server = await serveCatalog({
        fault: (asked) => (isBroken ? atCommits(fault)(asked) : undefined),
      });
      const catalog = await client(server);
      const table = newName();
      const made = await catalog.createTable(table, NEW_TABLE);
      isBroken = true;
      const before = server.asked.length;
      expect((await catalog.commitTable(table, made, appendTo(made, 1n))).outcome).toBe("unknown");
      expect(server.asked.length - before).toBe(1);
      expect((await loaded(catalog, table)).metadata.snapshots).toHaveLength(landed ? 1 : 0);
    });

  it("A commit that was certainly refused with 429 is sent again after the time that the catalog asks for", async () => {
    const fake = runtimeAt("2026-11-28T12:00:00Z");
    let commits = 0;
    const server = await serveCatalog({
      fault: (asked) =>
        atCommits("cut before")(asked) !== undefined && ++commits <= 2
          ? { status: 429, text: "slow down", headers: { "retry-after": "7" } }
          : undefined,
    });
    const catalog = await client(server, {}, fake);
    const table = newName();
    const made = await catalog.createTable(table, NEW_TABLE);
    expect(await catalog.commitTable(table, made, appendTo(made, 1n))).toEqual({ outcome: "committed" });
    expect(fake.sleeps).toEqual([7000, 7000]);
  });

  it("A commit that no server took is an error that a retry may solve", async () => {
    const server = await serveCatalog();
    const catalog = await client(server);
    const table = newName();
    const made = await catalog.createTable(table, NEW_TABLE);
    const nowhere = await client({ ...server, uri: "http://127.0.0.1:1/catalog" });
    const error = await failure(() => nowhere.commitTable(table, made, appendTo(made, 1n)));
    expect(error).toMatchObject({ code: "CATALOG_FAILED", retryable: true });
  });

  it("The error of a refused commit has the catalog's own words", async () => {
    const text = "Cannot add column: name is reserved";
    const server = await serveCatalog({ fault: atCommits(problem(400, "BadRequestException", text)) });
    const catalog = await client(server);
    const table = newName();
    const made = await catalog.createTable(table, NEW_TABLE);
    const error = await failure(() => catalog.commitTable(table, made, appendTo(made, 1n)));
    expect(error).toMatchObject({ code: "CATALOG_FAILED", retryable: false, where: { status: 400 } });
    expect(error.message).toContain(text);
    expect(error.hint).toContain("`millrace run`");
  });

  it("A conflict with a body of HTML is a conflict", async () => {
    const server = await serveCatalog({ fault: atCommits({ ...HTML, status: 409 }) });
    const catalog = await client(server);
    const table = newName();
    const made = await catalog.createTable(table, NEW_TABLE);
    const outcome = await catalog.commitTable(table, made, appendTo(made, 1n));
    expect(outcome).toMatchObject({ outcome: "conflict", reason: expect.stringContaining("Bad gateway") });
  });
});

describe("requests to a REST catalog", () => {
  it("A load is repeated while the catalog is busy or the connection breaks", async () => {
    const faults: Fault[] = [
      HTML,
      "cut before",
      problem(500, "InternalServerError"),
      { status: 429, text: "" },
    ];
    const server = await serveCatalog({ fault: (_, count) => faults[count - 1] });
    const catalog = await client(server);
    expect(await catalog.loadTable(newName())).toBeUndefined();
    expect(server.asked).toHaveLength(6);
  });

  it("A load that fails again and again is an error that names the request and a way out", async () => {
    const server = await serveCatalog({ fault: () => HTML });
    const error = await failure(async () => (await client(server, { maxRetries: 2 })).loadTable(newName()));
    expect(server.asked).toHaveLength(3);
    expect(error).toMatchObject({ code: "CATALOG_FAILED", retryable: true, where: { status: 503 } });
    expect(error.message).toMatch(/answered 503 to GET \/v1\/config.*: Bad gateway$/);
  });

  it("A 404 that does not come from a catalog is not a missing table", async () => {
    for (const reply of [
      { ...HTML, status: 404 },
      { status: 404, text: "" },
      { status: 404, json: {} },
    ]) {
      const server = await serveCatalog({ fault: (_, count) => (count === 1 ? undefined : reply) });
      const error = await failure(async () => (await client(server)).loadTable(newName()));
      expect(error).toMatchObject({ code: "CATALOG_FAILED", where: { status: 404 } });
    }
  });

  it("A slow answer ends with an error that names the limit", async () => {
    const server = await serveCatalog({ fault: () => "hang" });
    const slow = await client(server, { timeoutSeconds: 0.05, maxRetries: 0 });
    const error = await failure(() => slow.loadTable(newName()));
    expect(error).toMatchObject({ code: "CATALOG_FAILED", retryable: true });
    expect(error.message).toContain("no answer within 0.05 s");
  });

  it("A creation whose answer was lost finds the table that it made", async () => {
    const server = await serveCatalog({
      fault: ({ method, url }) =>
        method === "POST" && url.pathname.endsWith("/tables") ? "cut after" : undefined,
    });
    const catalog = await client(server, { maxRetries: 1 });
    const table = newName();
    // The first request takes effect; the second one finds that the table exists.
    const error = await failure(() => catalog.createTable(table, NEW_TABLE));
    expect(error.retryable).toBe(true);
    expect(server.tables.size).toBe(1);
    const made = await catalog.createTable(table, NEW_TABLE);
    expect(made.metadata["table-uuid"]).toBe([...server.tables.values()][0]?.["table-uuid"]);
  });

  it("The name of a view is not the name of a new table", async () => {
    const server = await serveCatalog({
      fault: ({ method, url }) =>
        method === "POST" && url.pathname.endsWith("/tables")
          ? problem(409, "AlreadyExistsException", "View with same name already exists")
          : undefined,
    });
    const error = await failure(async () => (await client(server)).createTable(newName(), NEW_TABLE));
    expect(error.code).toBe("TABLE_NAME_TAKEN");
  });

  it("Properties that a catalog drops when it creates a table are set by a commit", async () => {
    const server = await serveCatalog({ dropsProperties: true });
    const catalog = await client(server);
    const made = await catalog.createTable(newName(), NEW_TABLE);
    expect(made.metadata.properties).toEqual(NEW_TABLE.properties);
  });
});

describe("the configuration of a REST catalog", () => {
  const prefixes: readonly (readonly [string, string])[] = [
    ["lake", "lake"],
    [
      "arn%3Aaws%3As3tables%3Aus-east-1%3A123456789012%3Abucket%2Flake",
      "arn%3Aaws%3As3tables%3Aus-east-1%3A123456789012%3Abucket%2Flake",
    ],
    ["catalogs/123456789012", "catalogs/123456789012"],
    ["my lake", "my%20lake"],
  ];
  for (const [prefix, path] of prefixes)
    it(`The prefix ${JSON.stringify(prefix)} of a catalog is ${path} in its paths`, async () => {
      const server = await serveCatalog({ config: { defaults: { prefix } } });
      const catalog = await client(server, { warehouse: "a b/ż" });
      await catalog.loadTable({ namespace: ["a b", "c"], name: "ż" });
      expect(server.paths()).toEqual([
        "GET /catalog/v1/config?warehouse=a%20b%2F%C5%BC",
        `GET /catalog/v1/${path}/namespaces/a%20b%1Fc/tables/%C5%BC`,
      ]);
    });

  it("Overrides of the catalog win over options, and options over its defaults", async () => {
    const config = {
      defaults: { prefix: "default", "header.X-Lake": "a", "namespace-separator": "%2E" },
      overrides: { "header.X-Tenant": "b" },
    };
    const own = await serveCatalog({ config });
    await (await client(own, { prefix: "own", headers: { "X-Own": "c" } })).loadTable({
      namespace: ["a", "b"],
      name: "t",
    });
    expect(own.paths()[1]).toBe("GET /catalog/v1/own/namespaces/a%2Eb/tables/t");
    expect(own.asked[1]?.headers).toMatchObject({ "x-lake": "a", "x-tenant": "b", "x-own": "c" });
    const forced = await serveCatalog({ config: { ...config, overrides: { prefix: "forced" } } });
    await (await client(forced, { prefix: "own" })).loadTable({ namespace: ["a"], name: "t" });
    expect(forced.paths()[1]).toBe("GET /catalog/v1/forced/namespaces/a/tables/t");
  });

  it("An address that is no catalog is an error that says so", async () => {
    const server = await serveCatalog({ fault: () => ({ text: "<html>Welcome</html>" }) });
    const error = await failure(async () => (await client(server)).loadTable(newName()));
    expect(error.message).toContain("a body that is not a catalog's: Welcome");
  });
});
