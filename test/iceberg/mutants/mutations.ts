import type { Edit } from "../../faults/mutate.ts";
import type { ScenarioName } from "./scenarios.ts";

/** A rule that is removed from the Iceberg sink, and the scenario that fails without it. */
export interface IcebergMutation {
  readonly what: string;
  readonly caughtBy: ScenarioName;
  /** Part of the text of the violation that the scenario shows. */
  readonly shows: string;
  readonly edits: readonly Edit[];
}

const SNAPSHOT = "shared/connectors/iceberg/sink/new-snapshot.ts";
const MARKER = "shared/connectors/iceberg/sink/marker.ts";
const VACUUM = "shared/connectors/iceberg/sink/vacuum.ts";
const COMMIT = "shared/connectors/iceberg/sink/commit-batch.ts";

export const ICEBERG_MUTATIONS: readonly IcebergMutation[] = [
  {
    what: "the marker property is left out",
    caughtBy: "a batch that is committed again after its snapshot has expired",
    shows: "rows are doubled",
    edits: [
      {
        file: SNAPSHOT,
        find: `        { action: "set-properties", updates: { [markerKey(batch)]: markerText(batch, sequenceNumber) } },\n`,
        replace: "",
      },
    ],
  },
  {
    what: "only the summaries of snapshots are asked for the newest batch",
    caughtBy: "a batch that is committed again after its snapshot has expired",
    shows: "rows are doubled",
    edits: [
      {
        file: MARKER,
        find: "return ofProperties.length > 0 ? ofProperties : markersOfSummaries(metadata, pipeline);",
        replace: "return markersOfSummaries(metadata, pipeline);",
      },
    ],
  },
  {
    what: "the snapshot id is random",
    caughtBy: "a batch that is committed again in a catalog that keeps no markers",
    shows: "rows are doubled",
    edits: [
      {
        file: MARKER,
        find: "  return BigInt.asUintN(63, sha256(JSON.stringify(parts)).readBigUInt64BE(0)) || 1n;",
        replace:
          "  return BigInt.asUintN(63, sha256(JSON.stringify(parts) + Math.random()).readBigUInt64BE(0)) || 1n;",
      },
    ],
  },
  {
    what: "a commit is repeated without reading back",
    caughtBy: "a commit whose answer is lost",
    shows: "the batch fails",
    edits: [
      {
        file: COMMIT,
        find: "if (hasBatch(metadata, batch)) return { result: undefined };",
        replace: "if (files === undefined && hasBatch(metadata, batch)) return { result: undefined };",
      },
    ],
  },
  {
    what: "an abort deletes staged files although a commit was tried",
    caughtBy: "an abort after a commit that landed",
    shows: "the table cannot be read",
    edits: [
      {
        file: "shared/connectors/iceberg/sink/write.ts",
        find: "if (batch.commitTried || this.#recorded === undefined) return;",
        replace: "if (this.#recorded === undefined) return;",
      },
    ],
  },
  {
    what: "a commit does not require the snapshot on which it is based",
    caughtBy: "a commit in REST that a rollback overtakes",
    shows: "rows came back",
    edits: [
      {
        file: SNAPSHOT,
        find: `        { type: "assert-ref-snapshot-id", ref: MAIN, "snapshot-id": parentId ?? null },\n`,
        replace: "",
      },
    ],
  },
  {
    what: "a SQL catalog moves a table that another writer has moved",
    caughtBy: "a commit in SQLite that another pipeline overtakes",
    shows: "rows are lost",
    edits: [
      {
        file: "shared/connectors/iceberg/catalog/sql/statements.ts",
        // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the text of a template.
        find: "WHERE ${KEY} AND metadata_location = $4 ${isTable}",
        // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the text of a template.
        replace: "WHERE ${KEY} AND $4 <> '' ${isTable}",
      },
    ],
  },
  {
    what: "the new manifest list lacks the manifests of the snapshot before it",
    caughtBy: "batches without a fault",
    shows: "rows are lost",
    edits: [
      {
        file: SNAPSHOT,
        find: "parent === undefined ? [] : await liveManifests(io, parent)",
        replace: "[]",
      },
    ],
  },
  {
    what: "a vacuum takes all files that no snapshot names for lost ones",
    caughtBy: "a vacuum before the commit of a staged batch",
    shows: "the table cannot be read",
    edits: [
      {
        file: VACUUM,
        find: "!referenced.has(io.locationOf(key)) && isDead(dataAttemptOf(key, own), landed, open)",
        replace: "!referenced.has(io.locationOf(key)) && (landed, open, true)",
      },
    ],
  },
  {
    what: "a vacuum does not look into the manifests",
    caughtBy: "a vacuum before the commit of a staged batch",
    shows: "the table cannot be read",
    edits: [
      {
        file: VACUUM,
        find: "!referenced.has(io.locationOf(key)) && isDead(dataAttemptOf(key, own), landed, open)",
        replace: "isDead(dataAttemptOf(key, own), landed, open)",
      },
    ],
  },
];
