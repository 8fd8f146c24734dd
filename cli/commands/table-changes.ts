import { runtime } from "../../local/home.ts";
import {
  type ExpirePlan,
  type FileCounts,
  planExpire,
} from "../../shared/connectors/iceberg/maintenance/expire.ts";
import {
  planRollback,
  type RollbackPlan,
  type RollbackTarget,
} from "../../shared/connectors/iceberg/maintenance/rollback.ts";
import type { SnapshotInfo } from "../../shared/connectors/iceberg/maintenance/snapshots.ts";
import type { TableParts } from "../../shared/connectors/iceberg/maintenance/table-parts.ts";
import { parseDuration } from "../../shared/contract/duration.ts";
import { MillraceError } from "../../shared/contract/errors.ts";
import { optional } from "../../shared/contract/optional.ts";
import { EXIT } from "../exit-codes.ts";
import { type ConsentFlags, withConsent } from "../person.ts";
import { batchCell, publicSnapshot, rowsCell } from "../render/snapshot.ts";
import { printable, printLine, tellLine } from "../render/terminal.ts";
import { formatBytes, formatFields, formatTime, plural } from "../render/text.ts";
import { type NamedTable, withIcebergTable } from "../targets/iceberg-table.ts";
import type { TableFlags } from "./table.ts";

/** Snapshots that a preview names. */
const MAX_SHOWN = 20;

interface ExpireFlags extends TableFlags, ConsentFlags {
  readonly olderThan?: string;
  readonly keep?: number;
}

/**
 * `millrace table expire`: removes old snapshots and the files that only they need. Without `--yes`
 * it only shows which. Returns the exit code.
 */
export async function expireCommand(name: string, flags: ExpireFlags): Promise<number> {
  return await withIcebergTable(name, flags.home, async (table) => {
    const age = flags.olderThan === undefined ? undefined : parseDuration(flags.olderThan);
    const retention = {
      ...optional("olderThan", age === undefined ? undefined : runtime.now() - age),
      ...optional("keep", flags.keep),
    };
    const plan = await planExpire(changesOf(table, "expire"), retention);
    let result = publicExpiry(plan);
    if (result.snapshots.length + result.refs.length === 0 && !flags.json) {
      const kept = plan.keptSnapshots;
      printLine(`${table.name}: nothing is old enough to expire (see --older-than), snapshots kept: ${kept}`);
      return EXIT.ok;
    }
    const isDryRun = flags.dryRun === true || flags.yes !== true;
    const code = await withConsent(
      {
        shown: `${table.name}: expire\n${describeExpiry(plan)}`,
        question: "Expire them?",
        get done() {
          return `${table.name}: ${plural(result.snapshots.length, "snapshot")} expired, ${describeFiles(result.files)} deleted`;
        },
        get result() {
          return { table: table.name, action: "expire", kept: plan.keptSnapshots, ...result };
        },
        async apply() {
          const { snapshots, refs, counts } = await plan.apply();
          result = { snapshots: snapshots.map(String), refs, files: counts };
        },
      },
      { ...flags, dryRun: isDryRun },
    );
    if (isDryRun) tellLine("nothing was changed: --yes does it");
    return code;
  });
}

function publicExpiry({ expired, counts }: ExpirePlan) {
  const snapshots = expired.snapshots.map((snapshot) => String(snapshot["snapshot-id"]));
  return { snapshots, refs: expired.refs, files: counts };
}

function describeExpiry({ expired, keptSnapshots, counts, missing }: ExpirePlan): string {
  const { snapshots, refs } = expired;
  const times = snapshots.map((snapshot) => snapshot["timestamp-ms"]).sort((a, b) => a - b);
  const range =
    times.length === 0 ? "" : `, from ${formatTime(times[0] ?? 0)} to ${formatTime(times.at(-1) ?? 0)}`;
  return formatFields([
    ["snapshots", `${snapshots.length} expire${range}; ${keptSnapshots} stay`],
    ...(refs.length === 0 ? [] : [["branches and tags", `${printable(refs.join(", "))} expire`] as const]),
    ["files", `${describeFiles(counts)}, which no other snapshot needs`],
    ...(missing.length === 0
      ? []
      : [
          [
            "missing",
            `${plural(missing.length, "file")} of these snapshots, which another program has removed`,
          ] as const,
        ]),
    ["then", "readers cannot go back to these snapshots; the pipelines' markers stay"],
  ]);
}

function describeFiles({ data, deletes, manifests, manifestLists, statistics, bytes }: FileCounts): string {
  const all = plural(data + deletes + manifests + manifestLists + statistics, "file");
  return `${all} (${plural(data, "data file")}, ${formatBytes(bytes)})`;
}

interface RollbackFlags extends TableFlags, ConsentFlags {
  readonly toSnapshot?: bigint;
  readonly toTimestamp?: number;
}

/**
 * `millrace table rollback`: makes an earlier snapshot the current one. Returns the exit code.
 */
export async function rollbackCommand(name: string, flags: RollbackFlags): Promise<number> {
  const target = targetOf(flags);
  return await withIcebergTable(name, flags.home, async (table) => {
    const plan = await planRollback(changesOf(table, "rollback"), target);
    const { from, to, hidden, shown } = plan;
    return await withConsent(
      {
        shown: `${table.name}: rollback\n${describeRollback(table.name, plan)}`,
        question: "Roll back?",
        done: `${table.name}: snapshot ${to.id} is the current one`,
        result: {
          table: table.name,
          action: "rollback",
          from: publicSnapshot(from),
          to: publicSnapshot(to),
          hidden: hidden.map(publicSnapshot),
          shown: shown.map(publicSnapshot),
        },
        apply: plan.apply,
      },
      flags,
    );
  });
}

function targetOf({ toSnapshot, toTimestamp }: RollbackFlags): RollbackTarget {
  if (toSnapshot !== undefined && toTimestamp === undefined) return { snapshotId: toSnapshot };
  if (toTimestamp !== undefined && toSnapshot === undefined) return { timestamp: toTimestamp };
  throw new MillraceError("USAGE", "rollback needs one of --to-snapshot and --to-timestamp", {
    hint: "`millrace table snapshots` lists the ids. A timestamp is one such as 2026-11-28T12:00:00Z.",
  });
}

function describeRollback(table: string, { from, to, hidden, shown }: RollbackPlan): string {
  const rows = (name: string, snapshots: readonly SnapshotInfo[]): [string, string][] => {
    const lines: [string, string][] = snapshots
      .slice(0, MAX_SHOWN)
      .map((snapshot, i) => [i === 0 ? name : "", describeSnapshot(snapshot)]);
    const more = snapshots.length - lines.length;
    return more > 0 ? [...lines, ["", `and ${more} more`]] : lines;
  };
  return formatFields([
    ["from", describeSnapshot(from)],
    ["to", describeSnapshot(to)],
    ...rows("no longer seen", hidden),
    ...rows("seen again", shown),
    ["rows", `${from.totalRows ?? "?"} → ${to.totalRows ?? "?"}`],
    [
      "pipelines",
      "go on after their newest batch: rows of hidden batches are not written again, unless you move the offset with `millrace rewind`",
    ],
    ["undo", `millrace table rollback ${table} --to-snapshot ${from.id}, until it expires`],
  ]);
}

function describeSnapshot(snapshot: SnapshotInfo): string {
  const { id, committedAt, operation } = snapshot;
  const by = printable(batchCell(snapshot) || (snapshot.engine ?? ""));
  return [String(id), formatTime(committedAt), operation, rowsCell(snapshot), by].filter(Boolean).join(", ");
}

/**
 * Returns what can change the table. Error: `NOT_SUPPORTED` for a metadata file, and for the
 * expiry of a table in S3 Tables, whose service expires snapshots itself and lets nobody delete
 * files.
 */
function changesOf({ changes, catalog, name }: NamedTable, action: "expire" | "rollback"): TableParts {
  if (changes === undefined) {
    throw new MillraceError("NOT_SUPPORTED", `${name} is a metadata file, which never changes`, {
      hint: "Name the table in its catalog, such as demo.earthquakes, or the pipeline that writes it.",
    });
  }
  if (action === "expire" && catalog?.type === "s3tables") {
    throw new MillraceError("NOT_SUPPORTED", "S3 Tables expires snapshots itself, and deletes their files", {
      hint: "Set how long they stay: `aws s3tables put-table-maintenance-configuration --type icebergSnapshotManagement …`.",
    });
  }
  return changes;
}
