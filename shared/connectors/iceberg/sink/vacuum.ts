import { MillraceError } from "../../../contract/errors.ts";
import type { OpenBatch, VacuumContext, VacuumResult } from "../../../contract/stream-writer.ts";
import { isDead, type StagedFolder, vacuumFolders } from "../../kit/vacuum.ts";
import type { LoadedTable } from "../catalog/catalog.ts";
import { hasOwnUuid } from "../catalog/own-uuid.ts";
import { type FileIo, storeLocation } from "../file-io.ts";
import type { TableMetadata } from "../format/types.ts";
import { newestBatchIn } from "./marker.ts";
import {
  commitAttemptOf,
  DATA_FOLDER,
  dataAttemptOf,
  METADATA_FOLDER,
  metadataVersionOf,
  ownFolder,
} from "./names.ts";
import { ReferencedFiles } from "./referenced-files.ts";

/** How often the table is loaded again if one of its files goes while it is read. */
const LOADS = 3;

/** Loads the table anew. `undefined` if it is gone. */
export type LoadTable = () => Promise<LoadedTable | undefined>;

/**
 * Removes what attempts of this pipeline left behind: data files, manifests and metadata files that
 * no snapshot names and no open batch can still commit. Files of other writers stay, and so do
 * files that a commit has named before. Error: `TABLE_FILE_MISSING`.
 */
export async function vacuumFiles(
  io: FileIo,
  load: LoadTable,
  context: VacuumContext,
): Promise<VacuumResult> {
  const own = `${DATA_FOLDER}/${ownFolder(context)}`;
  const owners = context.formerIncarnations.map((incarnation) => ({ ...context, incarnation }));
  const former = owners.map((owner) => `${DATA_FOLDER}/${ownFolder(owner)}`);
  // The paths in manifests may write the table's location in another way than its metadata does.
  const dataFolders = [own, ...former].map((folder) => storeLocation(io.locationOf(folder)));
  const referenced = new ReferencedFiles(io, (path) =>
    dataFolders.some((folder) => storeLocation(path).startsWith(folder)),
  );
  const readState = async () => {
    // The open batch is read before the table: a batch that lands in between is in the table.
    const open = await context.readOpenBatch();
    return { open, metadata: await readReferenced(referenced, load) };
  };
  const folders: StagedFolder[] = [
    {
      folder: own,
      judge: async () => {
        const { open, metadata } = await readState();
        const landed = landedIn(metadata, context);
        return (key) => !referenced.has(io.locationOf(key)) && isDead(dataAttemptOf(key, own), landed, open);
      },
    },
    // No run of an earlier incarnation is at work.
    ...former.map((folder) => ({
      folder,
      judge: async () => {
        await readState();
        return (key: string) =>
          !referenced.has(io.locationOf(key)) && dataAttemptOf(key, folder) !== undefined;
      },
    })),
    {
      folder: `${METADATA_FOLDER}/`,
      judge: async () => {
        const { open, metadata } = await readState();
        const isDeadName = deadMetadata(metadata, open, context);
        return (key) =>
          !referenced.has(io.locationOf(key)) && isDeadName(key.slice(METADATA_FOLDER.length + 1));
      },
    },
  ];
  const { files, bytes, stopped } = await vacuumFolders(io.root, folders, context);
  return { files, bytes, ...(stopped === undefined ? {} : { more: true }) };
}

/** Returns the id of the newest batch of this incarnation in the table, or -1. */
function landedIn(metadata: TableMetadata | undefined, { pipeline, incarnation }: VacuumContext): number {
  return metadata === undefined ? -1 : (newestBatchIn(metadata, pipeline, incarnation)?.batchId ?? -1);
}

/** Another writer may remove old snapshots while they are read: then the table is loaded again. */
async function readReferenced(
  referenced: ReferencedFiles,
  load: LoadTable,
): Promise<TableMetadata | undefined> {
  for (let attempt = 1; ; attempt++) {
    const loaded = await load();
    if (loaded === undefined) return undefined;
    try {
      await referenced.read(loaded.metadata);
      return loaded.metadata;
    } catch (error) {
      if (attempt === LOADS || !MillraceError.is(error) || error.code !== "TABLE_FILE_MISSING") throw error;
    }
  }
}

/** Returns a test for the names of files in the folder of the metadata. */
function deadMetadata(
  metadata: TableMetadata | undefined,
  open: OpenBatch | undefined,
  context: VacuumContext,
): (name: string) => boolean {
  const landed = landedIn(metadata, context);
  const isLost = lostMetadata(metadata);
  return (name) => {
    const attempt = commitAttemptOf(name);
    if (attempt === undefined) return isLost(name);
    if (context.formerIncarnations.includes(attempt.incarnation)) return true;
    return attempt.incarnation === context.incarnation && isDead(attempt, landed, open);
  };
}

/**
 * Returns a test for metadata files of this program that lost against another commit. Files that
 * the log named once are older than all that it names now.
 */
function lostMetadata(metadata: TableMetadata | undefined): (name: string) => boolean {
  const log = (metadata?.["metadata-log"] ?? []).map(({ "metadata-file": file }) =>
    file.slice(file.lastIndexOf("/") + 1),
  );
  const named = new Set(log);
  const oldest = metadataVersionOf(log[0] ?? "");
  const newest = metadataVersionOf(log.at(-1) ?? "");
  if (oldest === undefined || newest === undefined) return () => false;
  return (name) => {
    const version = hasOwnUuid(name) ? metadataVersionOf(name) : undefined;
    // The file of the current version is not in its own log.
    return version !== undefined && version >= oldest && version <= newest && !named.has(name);
  };
}
