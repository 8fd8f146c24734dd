import { MillraceError } from "../../../contract/errors.ts";
import type { Snapshot, SnapshotRef, TableMetadata } from "../format/types.ts";
import { ancestorIds } from "./snapshots.ts";

const MAX_AGE = "history.expire.max-snapshot-age-ms";
const MIN_KEPT = "history.expire.min-snapshots-to-keep";
const MAX_REF_AGE = "history.expire.max-ref-age-ms";
const DEFAULT_MAX_AGE = 5 * 86_400_000;

/** What to keep, where a branch or tag does not say it itself. */
export interface Retention {
  /** Snapshots before this time may expire. Epoch milliseconds. */
  readonly olderThan?: number;
  /** Snapshots of each branch that stay, whatever their age. */
  readonly keep?: number;
}

/** What expires. */
export interface Expired {
  readonly snapshots: readonly Snapshot[];
  /** Branches and tags that are older than their own limit, or whose snapshot is gone. */
  readonly refs: readonly string[];
}

/**
 * Returns what expires at the time `now`, by the rules of Iceberg's Java library: `main` stays;
 * each branch keeps its newest snapshots by number and age; a tag keeps its snapshot; a snapshot
 * that no branch or tag reaches stays as long as it is young.
 */
export function expiredOf(metadata: TableMetadata, retention: Retention, now: number): Expired {
  const { refs, snapshots, properties } = metadata;
  const olderThan = retention.olderThan ?? now - (numberOf(properties, MAX_AGE) ?? DEFAULT_MAX_AGE);
  const keep = retention.keep ?? numberOf(properties, MIN_KEPT) ?? 1;
  const byId = new Map(snapshots.map((snapshot) => [snapshot["snapshot-id"], snapshot]));
  const isKept = ([name, ref]: readonly [string, SnapshotRef]) => {
    if (name === "main") return true;
    const at = byId.get(ref["snapshot-id"])?.["timestamp-ms"];
    const maxAge = ref["max-ref-age-ms"] ?? numberOf(properties, MAX_REF_AGE) ?? Number.POSITIVE_INFINITY;
    return at !== undefined && now - at <= maxAge;
  };
  const kept = Object.entries(refs).filter(isKept);
  const keptIds = new Set(kept.map(([, ref]) => ref["snapshot-id"]));
  const reached = new Set(keptIds);
  for (const [, ref] of kept) {
    if (ref.type !== "branch") continue;
    const ancestors = ancestorIds(metadata, ref["snapshot-id"]);
    for (const id of ancestors) reached.add(id);
    for (const id of keptOfBranch(ancestors, ref, byId, { olderThan, keep }, now)) keptIds.add(id);
  }
  return {
    refs: Object.keys(refs).filter((name) => !kept.some(([other]) => other === name)),
    snapshots: snapshots.filter((snapshot) => {
      const id = snapshot["snapshot-id"];
      const isYoung = !reached.has(id) && snapshot["timestamp-ms"] >= olderThan;
      return !keptIds.has(id) && !isYoung;
    }),
  };
}

function keptOfBranch(
  ancestors: readonly bigint[],
  ref: SnapshotRef,
  byId: ReadonlyMap<bigint, Snapshot>,
  defaults: Required<Retention>,
  now: number,
): readonly bigint[] {
  const maxAge = ref["max-snapshot-age-ms"];
  const olderThan = maxAge === undefined ? defaults.olderThan : now - maxAge;
  const keep = ref["min-snapshots-to-keep"] ?? defaults.keep;
  const end = ancestors.findIndex((id, i) => i >= keep && (byId.get(id)?.["timestamp-ms"] ?? 0) < olderThan);
  return end === -1 ? ancestors : ancestors.slice(0, end);
}

/** Error: `TABLE_PROPERTY_INVALID`. */
function numberOf(properties: TableMetadata["properties"], key: string): number | undefined {
  const text = properties[key];
  if (text === undefined) return undefined;
  if (/^\d+$/.test(text)) return Number(text);
  throw new MillraceError(
    "TABLE_PROPERTY_INVALID",
    `the table's property ${key} is "${text}", not a number`,
    {
      hint: "Set it to a whole number, or give `millrace table expire` both --older-than and --keep.",
    },
  );
}
