import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { TableCommit } from "../../../shared/connectors/iceberg/catalog/catalog.ts";
import { parseJson } from "../../../shared/connectors/iceberg/format/json.ts";
import { metadataJson, parseMetadata } from "../../../shared/connectors/iceberg/format/metadata.ts";
import type { TableMetadata } from "../../../shared/connectors/iceberg/format/types.ts";
import { applyCommit, obsoleteMetadataFiles } from "../../../shared/connectors/iceberg/format/updates.ts";
import { ROOT } from "../../support/root.ts";

/** A commit to a table, and the answer of the REST catalog of iceberg-core. */
interface Exchange {
  readonly name: string;
  readonly commit: TableCommit;
  readonly status: number;
  readonly location: string;
  readonly before: Readonly<Record<string, unknown>>;
  readonly after: Readonly<Record<string, unknown>>;
}

type Json = Readonly<Record<string, unknown>>;

const RECORDED = exchangesIn(
  readFileSync(join(ROOT, "test/fixtures/iceberg/commits.jsonl"), "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => parseJson(line) as Json),
);

const SHARED = "../shared/iceberg/vectors/commit.json";
const isThere = existsSync(join(ROOT, SHARED));
if (!isThere)
  console.warn(`exchanges of Iceberg's REST catalog are not here: no ${SHARED}, so none is compared`);

function sharedExchanges(): readonly Exchange[] {
  const { exchanges } = parseJson(readFileSync(join(ROOT, SHARED), "utf8")) as { exchanges: readonly Json[] };
  return exchangesIn(exchanges.map(({ answer, ...rest }) => ({ ...rest, ...(answer as Json) })));
}

/** Each line has the metadata, or the keys of the metadata that the commit changed. */
function exchangesIn(lines: readonly Json[]): readonly Exchange[] {
  const found: Exchange[] = [];
  let location = "";
  let before: Json = {};
  for (const line of lines) {
    const after = { ...before, ...(line["metadata"] as Json), ...(line["changes"] as Json) };
    const { request, status } = line;
    if (request !== undefined && request !== null)
      found.push({
        ...{ name: String(line["case"]), commit: withIds(request, "") as TableCommit },
        ...{ status: Number(status), location, before, after },
      });
    before = after;
    location = String(line["metadata-location"] ?? location);
  }
  return found;
}

/** Returns a commit as typed code has it: with a `bigint` for each id of a snapshot. */
function withIds(json: unknown, key: string): unknown {
  if (Array.isArray(json)) return json.map((item) => withIds(item, key));
  if (typeof json === "object" && json !== null)
    return Object.fromEntries(Object.entries(json).map(([name, value]) => [name, withIds(value, name)]));
  return typeof json === "number" && /snapshot-ids?$/.test(key) ? BigInt(json) : json;
}

/**
 * Updates that Millrace never sends. They are in the recording because they change later answers.
 */
function isOurs({ commit }: Exchange): boolean {
  return commit.updates.every(({ action }) => (action as string) !== "set-statistics");
}

function apply({ before, location, commit, after }: Exchange) {
  const now = Number(after["last-updated-ms"]);
  return applyCommit(parseMetadata(before, "the table"), location, commit, now);
}

function named(exchanges: readonly Exchange[], ofStatus: (status: number) => boolean) {
  return exchanges
    .filter((exchange) => ofStatus(exchange.status) && isOurs(exchange))
    .map((exchange) => [exchange.name, exchange] as const);
}

const SOURCES: (readonly [string, readonly Exchange[]])[] = [["recorded", RECORDED]];
if (isThere) SOURCES.push(["shared", sharedExchanges()]);

describe.each(SOURCES)("the %s exchanges with Iceberg's REST catalog", (_, exchanges) => {
  it.each(named(exchanges, (status) => status === 200))(
    "%s: applyCommit makes the metadata of the answer",
    (_name, exchange) => {
      const applied = apply(exchange);
      expect(applied).toEqual({ metadata: parseMetadata(exchange.after, "the answer") });
      if ("metadata" in applied) expect(parseJson(metadataJson(applied.metadata))).toEqual(exchange.after);
    },
  );

  it.each(named(exchanges, (status) => status === 409))(
    "%s: a commit that is answered with 409 is a conflict",
    (_name, exchange) => {
      expect(apply(exchange)).toEqual({ conflict: expect.any(String) });
    },
  );

  it.each(named(exchanges, (status) => status === 400 || status === 500))(
    "%s: a commit that is refused in another way is an error",
    (_name, exchange) => {
      const code = /id (?:again|that is used)/.test(exchange.name)
        ? "SNAPSHOT_EXISTS"
        : "TABLE_UPDATE_INVALID";
      expect(() => apply(exchange)).toThrow(expect.objectContaining({ code }));
    },
  );
});

describe("applyCommit", () => {
  const [start] = RECORDED;
  const table = (changes: Partial<TableMetadata> = {}) => ({
    ...parseMetadata(start?.before, "the table"),
    ...changes,
  });
  const setProperty = (updates: Record<string, string>): TableCommit => ({
    requirements: [],
    updates: [{ action: "set-properties", updates }],
  });
  const applied = (metadata: TableMetadata, commit: TableCommit, now = 0, location = "s3://old.json") => {
    const result = applyCommit(metadata, location, commit, now);
    if ("conflict" in result) throw new Error(result.conflict);
    return result.metadata;
  };

  it("A commit that changes nothing returns the same metadata", () => {
    const metadata = table();
    expect(applied(metadata, setProperty({}))).toBe(metadata);
    expect(applied(metadata, { requirements: [], updates: [] })).toBe(metadata);
  });

  it("A commit does not change the metadata that it is given", () => {
    const metadata = table();
    const text = metadataJson(metadata);
    applied(metadata, setProperty({ a: "1" }));
    expect(metadataJson(metadata)).toBe(text);
  });

  it("The time last-updated-ms never runs backwards if this clock is behind", () => {
    const metadata = table();
    const later = metadata["last-updated-ms"];
    expect(applied(metadata, setProperty({ a: "1" }), later - 5000)["last-updated-ms"]).toBe(later);
    expect(applied(metadata, setProperty({ a: "1" }), later + 5000)["last-updated-ms"]).toBe(later + 5000);
  });

  it("A table that exists conflicts with assert-create", () => {
    const commit: TableCommit = { requirements: [{ type: "assert-create" }], updates: [] };
    expect(applyCommit(table(), undefined, commit, 0)).toEqual({ conflict: "the table exists already" });
  });

  it("A sequence number that is used is a conflict even if the snapshot has no parent", () => {
    const snapshot = {
      ...{ "snapshot-id": 1n, "sequence-number": 7, "timestamp-ms": 0, "manifest-list": "s3://list" },
      summary: { operation: "append" },
    };
    const commit: TableCommit = { requirements: [], updates: [{ action: "add-snapshot", snapshot }] };
    const used = table({ "last-sequence-number": 7 });
    expect(applyCommit(used, undefined, commit, 0)).toEqual({ conflict: expect.stringContaining("is 7") });
    const free = table({ "last-sequence-number": 6 });
    expect(applied(free, commit)["last-sequence-number"]).toBe(7);
  });

  it("A commit keeps unknown keys of the metadata", () => {
    const metadata = { ...table(), "next-row-id": 9007199254740993n } as TableMetadata;
    expect(parseJson(metadataJson(applied(metadata, setProperty({ a: "1" }))))).toMatchObject({
      "next-row-id": 9007199254740993n,
    });
  });

  it("A limit for metadata files that is no number is an error", () => {
    const commit = setProperty({ "write.metadata.previous-versions-max": "many" });
    expect(() => applied(table(), commit)).toThrow(
      expect.objectContaining({ code: "TABLE_METADATA_INVALID" }),
    );
  });

  it("Metadata files are obsolete only if the table's properties say that they may be deleted", () => {
    const limit = { "write.metadata.previous-versions-max": "1" };
    const first = applied(table(), setProperty(limit), 0, "s3://1.json");
    const second = applied(first, setProperty({ a: "1" }), 0, "s3://2.json");
    expect(second["metadata-log"].map((entry) => entry["metadata-file"])).toEqual(["s3://2.json"]);
    expect(obsoleteMetadataFiles(first, second)).toEqual([]);
    const enabled = setProperty({ "write.metadata.delete-after-commit.enabled": "true" });
    expect(obsoleteMetadataFiles(first, applied(first, enabled, 0, "s3://2.json"))).toEqual(["s3://1.json"]);
  });
});
