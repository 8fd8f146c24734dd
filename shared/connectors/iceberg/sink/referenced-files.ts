import { atOnce } from "../../kit/at-once.ts";
import { type FileIo, storeLocation } from "../file-io.ts";
import { decodeManifest } from "../format/manifest.ts";
import type { ManifestFile, TableMetadata } from "../format/types.ts";
import { manifestsOf } from "../read/live-files.ts";

/** Number of manifests that are read at once. */
const AT_ONCE = 8;

/**
 * The files that any snapshot of a table names: manifest lists, manifests and, below a folder, data
 * files. Manifests do not change, so each is read once.
 */
export class ReferencedFiles {
  readonly #io: FileIo;
  readonly #isWanted: (dataFile: string) => boolean;
  readonly #named = new Set<string>();
  readonly #lists = new Set<string>();
  readonly #manifests = new Set<string>();

  constructor(io: FileIo, isWanted: (dataFile: string) => boolean) {
    this.#io = io;
    this.#isWanted = isWanted;
  }

  has(location: string): boolean {
    // Programs write the same location in several ways: file:/a and file:///a, s3a:// and s3://.
    const place = storeLocation(location);
    return this.#named.has(place) || this.#lists.has(place) || this.#manifests.has(place);
  }

  /** Adds the files of snapshots that are new. Error: `TABLE_FILE_MISSING`. */
  async read({ snapshots }: Pick<TableMetadata, "snapshots">): Promise<void> {
    for (const snapshot of snapshots) {
      const list = storeLocation(snapshot["manifest-list"]);
      if (this.#lists.has(list)) continue;
      const unread = (await manifestsOf(this.#io, snapshot)).filter(
        ({ manifestPath }) => !this.#manifests.has(storeLocation(manifestPath)),
      );
      await atOnce(AT_ONCE, unread, (file) => this.#readManifest(file));
      this.#lists.add(list);
    }
  }

  async #readManifest(file: ManifestFile): Promise<void> {
    const entries = decodeManifest(await this.#io.read(file.manifestPath), file);
    for (const { status, dataFile } of entries)
      if (status !== 2 && this.#isWanted(dataFile.filePath))
        this.#named.add(storeLocation(dataFile.filePath));
    this.#manifests.add(storeLocation(file.manifestPath));
  }
}
