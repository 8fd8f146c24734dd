import type { FileIo } from "../file-io.ts";
import { decodeManifest } from "../format/manifest.ts";
import { decodeManifestList } from "../format/manifest-list.ts";
import type { ManifestFile, TableMetadata } from "../format/types.ts";

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
    return this.#named.has(location) || this.#lists.has(location) || this.#manifests.has(location);
  }

  /** Adds the files of snapshots that are new. Error: `TABLE_FILE_MISSING`. */
  async read({ snapshots }: TableMetadata): Promise<void> {
    for (const { "manifest-list": list } of snapshots) {
      if (this.#lists.has(list)) continue;
      const unread = decodeManifestList(await this.#io.read(list)).filter(
        ({ manifestPath }) => !this.#manifests.has(manifestPath),
      );
      for (let i = 0; i < unread.length; i += AT_ONCE)
        await Promise.all(unread.slice(i, i + AT_ONCE).map((file) => this.#readManifest(file)));
      this.#lists.add(list);
    }
  }

  async #readManifest(file: ManifestFile): Promise<void> {
    const entries = decodeManifest(await this.#io.read(file.manifestPath), file);
    for (const { status, dataFile } of entries)
      if (status !== 2 && this.#isWanted(dataFile.filePath)) this.#named.add(dataFile.filePath);
    this.#manifests.add(file.manifestPath);
  }
}
