import type { BatchContext } from "../../../contract/context.ts";
import { MillraceError } from "../../../contract/errors.ts";
import type { TableCommit } from "../catalog/catalog.ts";
import type { FileIo } from "../file-io.ts";
import { decodeManifestList, encodeManifestList } from "../format/manifest-list.ts";
import { currentSchema, headSnapshot } from "../format/metadata.ts";
import type {
  DataFile,
  IcebergSchema,
  IcebergType,
  ManifestEntry,
  ManifestFile,
  NestedField,
  Snapshot,
  TableMetadata,
  TableRequirement,
  TableUpdate,
} from "../format/types.ts";
import { Manifests, type NewSnapshot } from "./manifests.ts";
import { markerKey, markerText, snapshotIdOf, summaryOf } from "./marker.ts";
import { mergeManifests } from "./merge-manifests.ts";
import type { CommitNames } from "./names.ts";
import { type Replaces, removeReplaced } from "./replace-files.ts";
import { countSummary } from "./snapshot-summary.ts";
import type { WritePlan } from "./write-plan.ts";

interface Change {
  readonly batch: BatchContext;
  readonly plan: WritePlan | undefined;
  readonly added: readonly DataFile[];
  readonly replaces: Replaces;
}

/** Writes the manifests of a batch's snapshot, and says what the catalog must commit. */
export class NewSnapshotFiles {
  readonly #change: Change;
  readonly #names: CommitNames;
  /** The manifest of the new files does not depend on the snapshot before it. */
  #added: ManifestFile | undefined;

  constructor(change: Change, names: CommitNames) {
    this.#change = change;
    this.#names = names;
  }

  /**
   * Writes the files of a snapshot on top of `metadata`. Errors: `TABLE_CHANGED`,
   * `PARTITIONING_CHANGED`.
   */
  async commitOn(metadata: TableMetadata, io: FileIo, now: number): Promise<TableCommit> {
    const { batch, added, replaces } = this.#change;
    const evolution = evolutionOf(metadata, this.#change.plan);
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
        { type: "assert-ref-snapshot-id", ref: "main", "snapshot-id": parentId ?? null },
        ...evolution.requirements,
      ],
      updates: [
        ...evolution.updates,
        { action: "add-snapshot", snapshot: head },
        { action: "set-snapshot-ref", "ref-name": "main", type: "branch", "snapshot-id": snapshot.id },
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
  const files = decodeManifestList(await io.read(parent["manifest-list"]), parent["manifest-list"]);
  return files.filter(({ addedFilesCount, existingFilesCount }) => addedFilesCount + existingFilesCount > 0);
}

function operationOf(added: readonly DataFile[], removed: readonly DataFile[], replaces: Replaces): string {
  if (replaces === "none") return "append";
  return added.length === 0 && removed.length > 0 ? "delete" : "overwrite";
}

/** The schema that the table has after the commit, and how it gets it. */
interface Evolution {
  readonly schema: IcebergSchema;
  readonly requirements: readonly TableRequirement[];
  readonly updates: readonly TableUpdate[];
}

/**
 * Returns the columns that the commit adds or widens. Their field ids are in the files already, so
 * they must still be free, or mean the same. Throws `TABLE_CHANGED`.
 */
function evolutionOf(metadata: TableMetadata, plan: WritePlan | undefined): Evolution {
  const current = currentSchema(metadata);
  const unchanged: Evolution = { schema: current, requirements: [], updates: [] };
  if (plan?.evolves === undefined || covers(current, plan.schema)) return unchanged;
  const { baseSchemaId, baseLastColumnId } = plan.evolves;
  if (current["schema-id"] !== baseSchemaId || metadata["last-column-id"] !== baseLastColumnId) {
    throw new MillraceError(
      "TABLE_CHANGED",
      "another writer changed the columns of the table after the batch was planned",
      {
        where: { path: metadata.location },
        hint: "Nothing was committed. The next `millrace run` plans the batch again for the table's columns.",
      },
    );
  }
  const schema = { ...plan.schema, "schema-id": schemaIdFor(metadata, plan.schema) };
  return {
    schema,
    requirements: [
      { type: "assert-current-schema-id", "current-schema-id": baseSchemaId },
      { type: "assert-last-assigned-field-id", "last-assigned-field-id": baseLastColumnId },
    ],
    updates: [
      { action: "add-schema", schema, "last-column-id": plan.lastColumnId },
      { action: "set-current-schema", "schema-id": schema["schema-id"] },
    ],
  };
}

/** A catalog takes the id of an equal schema, or the next one. */
function schemaIdFor({ schemas }: TableMetadata, { fields }: IcebergSchema): number {
  const text = JSON.stringify(fields);
  const equal = schemas.find((schema) => JSON.stringify(schema.fields) === text);
  return equal?.["schema-id"] ?? Math.max(...schemas.map((schema) => schema["schema-id"])) + 1;
}

/** True if a table with the columns `has` stores rows with the columns `wanted` as they are. */
function covers(has: IcebergSchema, wanted: IcebergSchema): boolean {
  return coversFields(has.fields, wanted.fields);
}

function coversFields(has: readonly NestedField[], wanted: readonly NestedField[]): boolean {
  return wanted.every((field) => {
    const own = has.find(({ id }) => id === field.id);
    return (
      own !== undefined &&
      own.name === field.name &&
      (field.required || !own.required) &&
      coversType(own.type, field.type)
    );
  });
}

function coversType(has: IcebergType, wanted: IcebergType): boolean {
  if (typeof has === "string" || typeof wanted === "string") return has === wanted;
  if (has.type === "struct" && wanted.type === "struct") return coversFields(has.fields, wanted.fields);
  if (has.type === "list" && wanted.type === "list")
    return has["element-id"] === wanted["element-id"] && coversType(has.element, wanted.element);
  if (has.type === "map" && wanted.type === "map")
    return has["value-id"] === wanted["value-id"] && coversType(has.value, wanted.value);
  return false;
}
