import type { BatchContext } from "../../../contract/context.ts";
import type { TableCommit } from "../catalog/catalog.ts";
import type { FileIo } from "../file-io.ts";
import { encodeManifestList } from "../format/manifest-list.ts";
import { headSnapshot, MAIN } from "../format/metadata.ts";
import type { DataFile, ManifestEntry, ManifestFile, Snapshot, TableMetadata } from "../format/types.ts";
import { manifestsOf } from "../read/live-files.ts";
import { checkSpec, evolutionOf } from "./check-plan.ts";
import { Manifests, type NewSnapshot } from "./manifests.ts";
import { markerKey, markerText, snapshotIdOf, summaryOf } from "./marker.ts";
import { mergeManifests } from "./merge-manifests.ts";
import type { CommitNames } from "./names.ts";
import { type Replaces, removeReplaced } from "./replace-files.ts";
import { countSummary } from "./snapshot-summary.ts";
import type { WritePlan } from "./write-plan.ts";

/** A batch to commit. */
export interface BatchToCommit {
  readonly batch: BatchContext;
  /** Absent if no plan was recorded: the batch is skipped by hand. */
  readonly plan: WritePlan | undefined;
  readonly added: readonly DataFile[];
  readonly replaces: Replaces;
}

/** Writes the manifests of a batch's snapshot, and says what the catalog must commit. */
export class NewSnapshotFiles {
  readonly #change: BatchToCommit;
  readonly #names: CommitNames;
  /** The manifest of the new files does not depend on the snapshot before it. */
  #added: ManifestFile | undefined;

  constructor(change: BatchToCommit, names: CommitNames) {
    this.#change = change;
    this.#names = names;
  }

  /**
   * Writes the files of a snapshot on top of `metadata`. Errors: `TABLE_CHANGED`,
   * `PARTITIONING_CHANGED`.
   */
  async commitOn(metadata: TableMetadata, io: FileIo, now: number): Promise<TableCommit> {
    const { batch, plan, added, replaces } = this.#change;
    checkSpec(metadata, plan, replaces);
    const evolution = evolutionOf(metadata, plan);
    const sequenceNumber = Number(metadata["last-sequence-number"]) + 1;
    const snapshot: NewSnapshot = {
      id: snapshotIdOf(metadata["table-uuid"], batch),
      sequenceNumber,
      schema: evolution.schema,
    };
    const parent = headSnapshot(metadata);
    const manifests = new Manifests(io, metadata, () => this.#names.manifest());
    const parents = parent === undefined ? [] : await liveManifests(io, parent);
    const left = await removeReplaced(metadata, parents, added, replaces, manifests, snapshot);
    const list = [
      ...(await this.#addedManifest(manifests, snapshot)),
      ...(await mergeManifests(metadata, left.manifests, manifests, snapshot)),
    ];
    const manifestList = this.#names.manifestList(snapshot.id);
    const parentId = parent?.["snapshot-id"];
    await io.write(
      manifestList,
      encodeManifestList(list, { snapshotId: snapshot.id, parentSnapshotId: parentId, sequenceNumber }),
    );
    const head: Snapshot = {
      "snapshot-id": snapshot.id,
      ...(parentId === undefined ? {} : { "parent-snapshot-id": parentId }),
      "sequence-number": sequenceNumber,
      // Clocks differ between machines, and metadata must not run backwards.
      "timestamp-ms": Math.max(now, metadata["last-updated-ms"]),
      "manifest-list": manifestList,
      summary: {
        operation: operationOf(added, left.removed, replaces),
        ...countSummary(parent, added, left.removed),
        ...summaryOf(batch),
      },
      "schema-id": evolution.schema["schema-id"],
    };
    return {
      requirements: [
        { type: "assert-table-uuid", uuid: metadata["table-uuid"] },
        { type: "assert-ref-snapshot-id", ref: MAIN, "snapshot-id": parentId ?? null },
        ...evolution.requirements,
      ],
      updates: [
        ...evolution.updates,
        { action: "add-snapshot", snapshot: head },
        {
          action: "set-snapshot-ref",
          // The branch may have a retention of its own.
          ...(metadata.refs[MAIN] ?? { type: "branch" }),
          "ref-name": MAIN,
          "snapshot-id": snapshot.id,
        },
        { action: "set-properties", updates: { [markerKey(batch)]: markerText(batch, sequenceNumber) } },
      ],
    };
  }

  async #addedManifest(manifests: Manifests, snapshot: NewSnapshot): Promise<readonly ManifestFile[]> {
    const { added, plan } = this.#change;
    if (added.length === 0 || plan === undefined) return [];
    this.#added ??= await manifests.write(
      added.map((dataFile): ManifestEntry => ({ status: 1, snapshotId: snapshot.id, dataFile })),
      { specId: plan.spec["spec-id"], content: 0 },
      snapshot,
    );
    const { sequenceNumber } = snapshot;
    return [{ ...this.#added, sequenceNumber, minSequenceNumber: sequenceNumber }];
  }
}

/** Manifests that only tell which files an earlier snapshot deleted are left out, as in Java. */
async function liveManifests(io: FileIo, parent: Snapshot): Promise<readonly ManifestFile[]> {
  const files = await manifestsOf(io, parent);
  return files.filter(({ addedFilesCount, existingFilesCount }) => addedFilesCount + existingFilesCount > 0);
}

function operationOf(added: readonly DataFile[], removed: readonly DataFile[], replaces: Replaces): string {
  if (replaces === "none") return "append";
  return added.length === 0 && removed.length > 0 ? "delete" : "overwrite";
}
