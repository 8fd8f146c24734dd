import { gzipSync } from "node:zlib";
import { padded } from "../../../../contract/keys.ts";
import { FileIo, type OpenStore } from "../../file-io.ts";
import { metadataJson, parseMetadata } from "../../format/metadata.ts";
import type { TableMetadata } from "../../format/types.ts";
import { obsoleteMetadataFiles } from "../../format/updates.ts";
import { ownUuid } from "../own-uuid.ts";

/** The codec of metadata files, and the folder of new ones, if it is not that of the table. */
const CODEC = "write.metadata.compression-codec";
const FOLDER = "write.metadata.path";

/** The metadata files of a SQL catalog's tables. The catalog's row names the current one. */
export class MetadataFiles {
  readonly #openStore: OpenStore;
  readonly #newId: () => string;

  constructor(openStore: OpenStore, newId: () => string) {
    this.#openStore = openStore;
    this.#newId = newId;
  }

  /** Errors: `TABLE_FILE_MISSING`, `STORE_FAILED`, and those of `parseMetadata`. */
  async read(location: string): Promise<TableMetadata> {
    return parseMetadata(await this.#io(location).read(location), location);
  }

  /**
   * Writes a new metadata file, durably. `before` is the one that it follows. Returns its location.
   */
  async write(metadata: TableMetadata, before: string | undefined): Promise<string> {
    const { location, properties } = metadata;
    const folder = (properties[FOLDER] ?? `${location}/metadata`).replace(/\/+$/, "");
    const isGzip = properties[CODEC]?.toLowerCase() === "gzip";
    const name = `${padded(versionOf(before) + 1, 5)}-${ownUuid(this.#newId())}`;
    const file = `${folder}/${name}${isGzip ? ".gz" : ""}.metadata.json`;
    const bytes = new TextEncoder().encode(metadataJson(metadata));
    await this.#io(file).write(file, isGzip ? gzipSync(bytes) : bytes);
    return file;
  }

  /**
   * Deletes the files that the properties of the new metadata do not keep. A file that cannot be
   * deleted only takes up space, so this never fails.
   */
  async deleteObsolete(before: TableMetadata, after: TableMetadata): Promise<void> {
    await this.discard(obsoleteMetadataFiles(before, after));
  }

  /** Deletes files that no table names. This never fails. */
  async discard(locations: readonly string[]): Promise<void> {
    for (const location of locations)
      await this.#io(location)
        .delete([location])
        .catch(() => undefined);
  }

  #io(location: string): FileIo {
    return new FileIo(this.#openStore, location.slice(0, location.lastIndexOf("/")));
  }
}

/** Returns the number in the name of a metadata file: 7 for `00007-….metadata.json`; else -1. */
function versionOf(location: string | undefined): number {
  const digits = /\/v?(\d{1,15})[-.][^/]*$/.exec(location ?? "")?.[1];
  return digits === undefined ? -1 : Number(digits);
}
