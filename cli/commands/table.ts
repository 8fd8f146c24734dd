import { openStore } from "../../local/home.ts";
import { liveFiles } from "../../shared/connectors/arrow-table/open-state.ts";
import type { FileInfo } from "../../shared/connectors/iceberg/maintenance/files.ts";
import { filesOfSnapshot } from "../../shared/connectors/iceberg/maintenance/files.ts";
import {
  type HistoryEntry,
  historyOf,
  type SnapshotInfo,
  snapshotsOf,
} from "../../shared/connectors/iceberg/maintenance/snapshots.ts";
import { MillraceError } from "../../shared/contract/errors.ts";
import { optional } from "../../shared/contract/optional.ts";
import { readersOf } from "../render/iceberg-readers.ts";
import { batchCell, publicSnapshot, rowsCell } from "../render/snapshot.ts";
import { drained, isTerminal, printable, printJson, printLine } from "../render/terminal.ts";
import { formatBytes, formatCount, formatTable, formatTime, plural } from "../render/text.ts";
import { arrowTable, refuseFlag } from "../targets/arrow-table.ts";
import { filesOf, withIcebergTable } from "../targets/iceberg-table.ts";

export interface TableFlags {
  readonly home: string;
  readonly json?: boolean;
}

/** `millrace table history`: prints which snapshots were current, the newest last. */
export async function historyCommand(name: string, { home, json }: TableFlags): Promise<void> {
  await withIcebergTable(name, home, async (table) => {
    const entries = historyOf((await table.load()).metadata);
    if (json) for (const entry of entries) printJson(publicEntry(entry));
    else if (entries.length === 0) printLine(`${table.name}: no snapshot yet`);
    else printLine(historyTable(entries));
  });
}

function publicEntry({ id, madeCurrentAt, snapshot }: HistoryEntry): object {
  const time = { madeCurrentAt: new Date(madeCurrentAt).toISOString() };
  return {
    ...time,
    ...(snapshot === undefined ? { id: String(id), expired: true } : publicSnapshot(snapshot)),
  };
}

function historyTable(entries: readonly HistoryEntry[]): string {
  return formatTable(
    ["current since", "snapshot", "operation", "rows", "total", "by"],
    entries.map(({ id, madeCurrentAt, snapshot }) => [
      formatTime(madeCurrentAt),
      String(id),
      snapshot?.operation ?? "expired",
      rowsCell(snapshot),
      totalCell(snapshot),
      byCell(snapshot),
    ]),
  );
}

function totalCell(snapshot: SnapshotInfo | undefined): string {
  return snapshot?.totalRows === undefined ? "" : formatCount(snapshot.totalRows);
}

/** Returns the batch, or else the program. An undone snapshot says so. */
function byCell(snapshot: SnapshotInfo | undefined): string {
  if (snapshot === undefined) return "";
  const by = printable(batchCell(snapshot) || (snapshot.engine ?? ""));
  return snapshot.isInCurrent ? by : `${by} (rolled back)`.trim();
}

/** `millrace table snapshots`: prints all snapshots that the table has, the newest last. */
export async function snapshotsCommand(name: string, { home, json }: TableFlags): Promise<void> {
  await withIcebergTable(name, home, async (table) => {
    const snapshots = snapshotsOf((await table.load()).metadata);
    if (json) for (const snapshot of snapshots) printJson(publicSnapshot(snapshot));
    else if (snapshots.length === 0) printLine(`${table.name}: no snapshot yet`);
    else printLine(snapshotTable(snapshots));
  });
}

function snapshotTable(snapshots: readonly SnapshotInfo[]): string {
  return formatTable(
    ["snapshot", "parent", "committed", "operation", "rows", "total", "files", "by", "refs"],
    snapshots.map((snapshot) => [
      String(snapshot.id),
      snapshot.parentId === undefined ? "" : String(snapshot.parentId),
      formatTime(snapshot.committedAt),
      snapshot.operation,
      rowsCell(snapshot),
      totalCell(snapshot),
      snapshot.summary["total-data-files"] ?? "",
      byCell(snapshot),
      printable(snapshot.refs.join(", ")),
    ]),
  );
}

interface FilesFlags extends TableFlags {
  readonly snapshot?: bigint;
  readonly columns?: string;
}

/**
 * `millrace table files`: prints the files of a snapshot, or those that an Arrow table consists of
 * now, in the order of its commits.
 */
export async function filesCommand(name: string, flags: FilesFlags): Promise<void> {
  const folder = await arrowTable(name, flags.home);
  if (folder !== undefined) {
    refuseFlag("--snapshot", flags.snapshot, name);
    refuseFlag("--columns", flags.columns, name);
    await printArrowFiles(name, folder, flags.json);
    return;
  }
  await withIcebergTable(name, flags.home, async (table) => {
    const loaded = await table.load();
    const columns = flags.columns?.split(",").map((column) => column.trim()) ?? [];
    const options = { columns, ...optional("snapshotId", flags.snapshot) };
    const files = await filesOfSnapshot(filesOf(loaded), loaded.metadata, options);
    if (flags.json)
      for (const file of files) printJson({ ...file, sequenceNumber: Number(file.sequenceNumber) });
    else
      printLine(
        files.length === 0 ? `${table.name}: no files` : filesTable(files, columns, loaded.metadata.location),
      );
  });
}

async function printArrowFiles(name: string, folder: string, json = false): Promise<void> {
  const store = openStore(folder);
  const files: ListedFile[] = [];
  for await (const { path, rows, bytes, partition = {} } of liveFiles(store)) {
    const at = `${store.location}/${path}`;
    const file = { content: "data", path: at, format: "arrow", partition, rows, bytes } as const;
    if (!json) files.push(file);
    else if (!printLine(JSON.stringify(file))) await drained();
  }
  if (!json) printLine(files.length === 0 ? `${name}: no files` : filesTable(files, [], store.location));
}

type ListedFile = Pick<FileInfo, "content" | "path" | "rows" | "bytes"> & {
  readonly partition: Readonly<Record<string, unknown>>;
  readonly bounds?: FileInfo["bounds"];
};

function filesTable(files: readonly ListedFile[], columns: readonly string[], root: string): string {
  const inTable = (path: string) => (path.startsWith(`${root}/`) ? path.slice(root.length + 1) : path);
  const lines = formatTable(
    ["content", "partition", "rows", "bytes", ...columns, "file"],
    files.map((file) => [
      file.content,
      printable(partitionCell(file)),
      formatCount(file.rows),
      formatBytes(file.bytes),
      ...columns.map((column) => printable(boundsCell(file, column))),
      printable(inTable(file.path)),
    ]),
  );
  const data = files.filter(({ content }) => content === "data");
  const [rows, bytes] = [sum(data.map((file) => file.rows)), sum(files.map((file) => file.bytes))];
  return `${lines}\n\n${plural(files.length, "file")}, ${plural(rows, "row")}, ${formatBytes(bytes)}`;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function partitionCell({ partition }: ListedFile): string {
  return Object.entries(partition)
    .map(([name, value]) => `${name}=${value ?? "null"}`)
    .join(", ");
}

function boundsCell({ bounds = {} }: ListedFile, column: string): string {
  const { lower, upper, nulls } = bounds[column] ?? {};
  const range = lower === undefined && upper === undefined ? "" : `${lower ?? "?"} … ${upper ?? "?"}`;
  return nulls === undefined || nulls === 0 ? range : `${range} (${plural(nulls, "null")})`.trim();
}

/** `millrace table path`: prints the current metadata file, and how to read it elsewhere. */
export async function pathCommand(name: string, { home, json }: TableFlags): Promise<void> {
  await withIcebergTable(name, home, async (table) => {
    const { metadataLocation, metadata } = await table.load();
    if (metadataLocation === undefined) throw noMetadataFile(table.name, metadata.location);
    const readers = readersOf(metadataLocation);
    if (json) printJson({ table: table.name, metadata: metadataLocation, ...readers });
    else {
      printLine(metadataLocation);
      if (isTerminal()) printLine(`\nDuckDB:\n${readers.duckdb}\n\npyiceberg:\n${readers.pyiceberg}`);
    }
  });
}

function noMetadataFile(table: string, location: string): MillraceError {
  return new MillraceError("NOT_SUPPORTED", `the catalog does not tell the metadata file of ${table}`, {
    where: { path: location },
    hint: "Open the table by the catalog instead: DuckDB with ATTACH, pyiceberg with load_catalog.",
  });
}
