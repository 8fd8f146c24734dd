import { readFileSync } from "node:fs";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { clientAccess } from "../../../../shared/aws/client-access.ts";
import { glueAsRest, s3TablesAsRest } from "../../../../shared/connectors/iceberg/catalog/aws-presets.ts";
import {
  CATALOG_OPTIONS,
  type ParsedGlue,
  type ParsedS3Tables,
} from "../../../../shared/connectors/iceberg/catalog/options.ts";
import { SigV4 } from "../../../../shared/connectors/iceberg/catalog/rest/sigv4.ts";
import { failure, type Reply, runtimeAt } from "../../../support/api-server.ts";
import { appendTo, loaded, NEW_TABLE, newName } from "./catalog.suite.ts";
import { client, open } from "./open.ts";
import { problem, serveCatalog } from "./rest-server.ts";

/** Requests that botocore has signed. */
const SIGV4 = JSON.parse(readFileSync(new URL("../vectors/sigv4.json", import.meta.url), "utf8")) as {
  readonly vectors: readonly {
    readonly service: string;
    readonly method: string;
    readonly url: string;
    readonly body: string | null;
    readonly authorization: string;
  }[];
};

describe("the credentials of a REST catalog", () => {
  it("A token from the environment is sent with each request, and is in no message", async () => {
    const server = await serveCatalog({
      fault: (_, count) =>
        count > 1 ? problem(403, "ForbiddenException", "no rights for secret-1") : undefined,
    });
    const fake = runtimeAt("2026-11-28T12:00:00Z", { LAKE_TOKEN: "secret-1" });
    const catalog = await client(server, { token: { env: "LAKE_TOKEN" } }, fake);
    const error = await failure(() => catalog.loadTable(newName()));
    expect(server.asked.map(({ headers }) => headers.authorization)).toEqual([
      "Bearer secret-1",
      "Bearer secret-1",
    ]);
    expect(error).toMatchObject({ code: "CATALOG_DENIED", retryable: false, where: { status: 403 } });
    expect(JSON.stringify(error.toRecord()) + error.found).not.toContain("secret-1");
    const without = await client(server, { token: { env: "LAKE_TOKEN" } });
    expect((await failure(() => without.loadTable(newName()))).code).toBe("SECRET_MISSING");
  });

  it("A header from the environment is sent, and is in no message", async () => {
    const server = await serveCatalog({
      fault: ({ headers }) => problem(400, "BadRequestException", `unknown key ${headers["x-api-key"]}`),
    });
    const fake = runtimeAt("2026-11-28T12:00:00Z", { LAKE_KEY: "key-1" });
    const catalog = await client(server, { headers: { "X-Api-Key": { env: "LAKE_KEY" } } }, fake);
    const error = await failure(() => catalog.loadTable(newName()));
    expect(error.message).toContain("unknown key …");
    expect(JSON.stringify(error.toRecord()) + error.found).not.toContain("key-1");
  });

  /**
   * A catalog that takes the tokens that its own endpoint has issued, each for a number of loads.
   */
  async function oauthServer(answers: (count: number) => Reply, isTaken: (token: string) => boolean) {
    let issued = 0;
    const forms: URLSearchParams[] = [];
    const server = await serveCatalog({
      fault: ({ url, body, headers }) => {
        if (url.pathname.endsWith("/oauth/tokens")) {
          forms.push(new URLSearchParams(body));
          return answers(++issued);
        }
        return isTaken((headers.authorization ?? "").replace("Bearer ", ""))
          ? undefined
          : problem(401, "NotAuthorizedException");
      },
    });
    return { server, forms };
  }

  const oauth2 = { clientId: "me", clientSecret: { env: "LAKE_SECRET" } };
  const env = { LAKE_SECRET: "s3cret" };

  it("Client credentials are exchanged for a token once, and again when it is about to expire", async () => {
    const { server, forms } = await oauthServer(
      (count) => ({ json: { access_token: `t${count}`, token_type: "bearer", expires_in: 3600 } }),
      (token) => token !== "",
    );
    const fake = runtimeAt("2026-11-28T12:00:00Z", env);
    const catalog = await client(server, { oauth2 }, fake);
    await catalog.loadTable(newName());
    await catalog.loadTable(newName());
    expect(forms.map((form) => Object.fromEntries(form))).toEqual([
      { grant_type: "client_credentials", scope: "catalog", client_id: "me", client_secret: "s3cret" },
    ]);
    await fake.sleep(3_590_000);
    await catalog.loadTable(newName());
    expect(forms).toHaveLength(2);
    expect(server.asked.at(-1)?.headers.authorization).toBe("Bearer t2");
  });

  it("A token that the catalog refuses is replaced once, also for a commit", async () => {
    const revoked = new Set<string>();
    const { server, forms } = await oauthServer(
      (count) => ({ json: { access_token: `token${count}`, token_type: "bearer" } }),
      (token) => token !== "" && !revoked.has(token),
    );
    const catalog = await client(server, { oauth2 }, runtimeAt("2026-11-28T12:00:00Z", env));
    const table = newName();
    const made = await catalog.createTable(table, NEW_TABLE);
    revoked.add("token1");
    expect(await catalog.commitTable(table, made, appendTo(made, 1n))).toEqual({ outcome: "committed" });
    expect(forms).toHaveLength(2);
    for (const token of ["token2", "token3"]) revoked.add(token);
    const error = await failure(() => catalog.loadTable(table));
    expect(error.code).toBe("CATALOG_DENIED");
    expect(forms).toHaveLength(3);
  });

  it("A token endpoint that refuses the client is an error without the secret", async () => {
    const { server } = await oauthServer(
      () => ({ status: 401, json: { error: "invalid_client", error_description: "s3cret is wrong" } }),
      () => false,
    );
    const catalog = await client(server, { oauth2 }, runtimeAt("2026-11-28T12:00:00Z", env));
    const error = await failure(() => catalog.loadTable(newName()));
    expect(error.code).toBe("ACCESS_TOKEN_FAILED");
    expect(JSON.stringify(error.toRecord()) + error.found).not.toContain("s3cret");
  });
});

describe("the access to a table's files", () => {
  const keys = (name: string) => ({
    "s3.access-key-id": name,
    "s3.secret-access-key": `${name} secret`,
    "s3.session-token": `${name} token`,
  });

  it("Of several vended credentials, those with the longest prefix of the table's location are used", async () => {
    const server = await serveCatalog({
      loading: ({ location }, { headers }) => ({
        config: { ...keys("shared"), "client.region": "eu-west-1", "s3.path-style-access": "true" },
        "storage-credentials":
          headers["x-iceberg-access-delegation"] === "vended-credentials"
            ? [
                { prefix: "s3", config: keys("all") },
                {
                  prefix: `${location}/`.slice(0, -2),
                  config: { ...keys("near"), "s3.endpoint": "http://s3.local" },
                },
                { prefix: "s3://elsewhere", config: keys("other") },
              ]
            : [],
      }),
    });
    const table = newName();
    const { access } = await (await client(server)).createTable(table, NEW_TABLE);
    expect(access).toMatchObject({
      accessKeyId: "near",
      secretAccessKey: "near secret",
      sessionToken: "near token",
      region: "eu-west-1",
      endpoint: "http://s3.local",
      pathStyle: true,
    });
    const without = await loaded(await client(server, { accessDelegation: "none" }), table);
    expect(without.access?.accessKeyId).toBe("shared");
  });

  it("Vended credentials that end are replaced by another load of the table", async () => {
    let loads = 0;
    const server = await serveCatalog({
      loading: () => {
        const expires = { "s3.session-token-expires-at-ms": String(1_800_000_000_000 + ++loads) };
        return { config: { ...keys(`key ${loads}`), ...expires } };
      },
    });
    const table = newName();
    const catalog = await client(server);
    await catalog.createTable(table, NEW_TABLE);
    const { access } = await loaded(catalog, table);
    expect(access).toMatchObject({ accessKeyId: "key 2", expiresAt: 1_800_000_000_002 });
    const { credentials } = clientAccess(access);
    if (typeof credentials !== "function") throw new Error("the credentials do not change");
    expect(await credentials()).toMatchObject({
      accessKeyId: "key 2",
      expiration: new Date(1_800_000_000_002),
    });
    expect(await credentials()).toMatchObject({ accessKeyId: "key 3", sessionToken: "key 3 token" });
  });

  it("A catalog that vends nothing leaves the files to the credentials of the process", async () => {
    const server = await serveCatalog({ loading: () => ({ config: { "client.region": "eu-west-1" } }) });
    expect((await (await client(server)).createTable(newName(), NEW_TABLE)).access).toBeUndefined();
  });
});

describe("catalogs on AWS", () => {
  const identify = async () => ({
    credentials: async () => ({
      accessKeyId: "AKIDEXAMPLE",
      secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
      sessionToken: "token",
    }),
    region: async () => "us-east-1",
  });

  for (const { service, method, url, body, authorization } of SIGV4.vectors)
    it(`The signature of ${method} ${url} is that of botocore`, async () => {
      const signer = new SigV4({ service }, { now: () => Date.parse("2026-11-27T12:00:00Z") }, identify);
      const type = body === null ? {} : { "content-type": "application/json" };
      const headers = await signer.headers({
        method,
        url: new URL(url),
        headers: { ...type, "x-other": "1" },
        body: body ?? undefined,
      });
      expect(headers["authorization"]).toBe(authorization);
      expect(headers["x-other"]).toBe("1");
      expect(signer.secrets).toContain("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
    });

  it("A table bucket is the REST catalog of S3 Tables in its region, and Glue that of its account", () => {
    const tableBucketArn = "arn:aws:s3tables:eu-west-1:123456789012:bucket/lake";
    expect(
      s3TablesAsRest(CATALOG_OPTIONS.parse({ type: "s3tables", tableBucketArn }) as ParsedS3Tables),
    ).toMatchObject({
      uri: "https://s3tables.eu-west-1.amazonaws.com/iceberg",
      warehouse: tableBucketArn,
      sigv4: { service: "s3tables", region: "eu-west-1" },
    });
    const glue = CATALOG_OPTIONS.parse({ type: "glue", catalogId: "123456789012" }) as ParsedGlue;
    expect(glueAsRest(glue, "cn-north-1")).toMatchObject({
      uri: "https://glue.cn-north-1.amazonaws.com.cn/iceberg",
      warehouse: "123456789012",
      sigv4: { service: "glue", region: "cn-north-1" },
    });
  });

  it("New tables of Glue are below the warehouse, and requests are signed for Glue", async () => {
    vi.stubEnv("AWS_ACCESS_KEY_ID", "test");
    vi.stubEnv("AWS_SECRET_ACCESS_KEY", "test");
    onTestFinished(() => void vi.unstubAllEnvs());
    const server = await serveCatalog({ config: { overrides: { prefix: "catalogs/123456789012" } } });
    const catalog = await open({
      type: "glue",
      uri: server.uri,
      region: "eu-west-1",
      warehouse: "s3://bucket/tables/",
    });
    const table = newName();
    const { metadata } = await catalog.createTable(table, NEW_TABLE);
    expect(metadata.location).toBe(`s3://bucket/tables/shop/${table.name}`);
    expect(server.asked[0]?.headers.authorization).toMatch(
      /^AWS4-HMAC-SHA256 Credential=test\/\d{8}\/eu-west-1\/glue\/aws4_request/,
    );
  });
});

describe("the option catalog", () => {
  const wrong: readonly (readonly [string, unknown])[] = [
    ["an unknown type", { type: "hive" }],
    ["an unknown option", { type: "sqlite", pfad: "x" }],
    ["a URI with a password", { type: "rest", uri: "http://me:secret@host" }],
    [
      "two kinds of credentials",
      { type: "rest", uri: "http://host", token: { env: "A" }, sigv4: { service: "glue" } },
    ],
    ["an ARN of another service", { type: "s3tables", tableBucketArn: "arn:aws:s3:::bucket" }],
    ["a warehouse of Glue that is no bucket", { type: "glue", warehouse: "/tmp" }],
    [
      "a URL and a connection",
      { type: "postgres", warehouse: "/tmp", url: "postgres://a/b", connection: {} },
    ],
    ["PostgreSQL without a warehouse", { type: "postgres" }],
  ];
  for (const [what, options] of wrong)
    it(`The option catalog refuses ${what}`, () => {
      expect(CATALOG_OPTIONS.safeParse(options).success).toBe(false);
    });
});
