import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { TableCommit } from "../../../shared/connectors/iceberg/catalog/catalog.ts";
import { parseJson } from "../../../shared/connectors/iceberg/format/json.ts";
import { metadataJson, parseMetadata } from "../../../shared/connectors/iceberg/format/metadata.ts";
import type { TableMetadata } from "../../../shared/connectors/iceberg/format/types.ts";
import { applyCommit } from "../../../shared/connectors/iceberg/format/updates.ts";
import { ROOT } from "../../support/root.ts";

const NAME = "../shared/iceberg/vectors/commit.json";
const isThere = existsSync(join(ROOT, NAME));
if (!isThere)
  console.warn(`the exchanges with Iceberg's REST catalog are not here: no ${NAME}, so none is compared`);

interface Exchange {
  readonly case: string;
  readonly method: string;
  readonly status: number;
  readonly request: unknown;
  readonly answer: { readonly "metadata-location": string; readonly metadata: unknown };
}

interface State {
  readonly location: string;
  readonly metadata: TableMetadata;
}

/** Returns the state before each exchange. */
function withStates(): readonly (readonly [string, Exchange, State])[] {
  const { exchanges } = parseJson(readFileSync(join(ROOT, NAME), "utf8")) as {
    exchanges: readonly Exchange[];
  };
  const cases: [string, Exchange, State][] = [];
  let state: State | undefined;
  for (const exchange of exchanges) {
    if (exchange.method === "POST" && state !== undefined) cases.push([exchange.case, exchange, state]);
    if (exchange.status === 200)
      state = {
        location: exchange.answer["metadata-location"],
        metadata: parseMetadata(exchange.answer.metadata, "the answer"),
      };
  }
  return cases;
}

/** Returns a commit as typed code has it: with a `bigint` for each id of a snapshot. */
function commitOf(json: unknown): TableCommit {
  return withIds(json, "") as TableCommit;
}

function withIds(json: unknown, key: string): unknown {
  if (Array.isArray(json)) return json.map((item) => withIds(item, key));
  if (typeof json === "object" && json !== null)
    return Object.fromEntries(Object.entries(json).map(([name, value]) => [name, withIds(value, name)]));
  return typeof json === "number" && /snapshot-ids?$/.test(key) ? BigInt(json) : json;
}

describe.runIf(isThere)("applyCommit", () => {
  const cases = isThere ? withStates() : [];

  it.each(cases.filter(([, { status }]) => status === 200))(
    "%s: a commit makes the metadata that Iceberg's REST catalog answers",
    (_, { request, answer }, { location, metadata }) => {
      const expected = parseMetadata(answer.metadata, "the answer");
      const applied = applyCommit(metadata, location, commitOf(request), expected["last-updated-ms"]);
      expect(applied).toEqual({ metadata: expected });
      if ("metadata" in applied) expect(parseJson(metadataJson(applied.metadata))).toEqual(answer.metadata);
    },
  );

  it.each(cases.filter(([, { status }]) => status === 409))(
    "%s: a commit that Iceberg's REST catalog answers with 409 is a conflict",
    (_, { request }, { location, metadata }) => {
      expect(applyCommit(metadata, location, commitOf(request), 0)).toEqual({ conflict: expect.any(String) });
    },
  );

  it.each([
    ["snapshot id again", "SNAPSHOT_EXISTS"],
    ["unknown requirement", "TABLE_UPDATE_INVALID"],
  ])("%s: a commit that Iceberg's REST catalog refuses is the error %s", (name, code) => {
    const found = cases.find(([one]) => one === name);
    expect(found).toBeDefined();
    if (found === undefined) return;
    const [, { request }, { location, metadata }] = found;
    expect(() => applyCommit(metadata, location, commitOf(request), 0)).toThrow(
      expect.objectContaining({ code }),
    );
  });
});
