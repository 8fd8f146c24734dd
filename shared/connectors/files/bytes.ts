import { StoredBytes } from "../../arrow/stored-bytes.ts";
import { MillraceError } from "../../contract/errors.ts";
import type { ObjectStore } from "../../contract/object-store.ts";
import type { PlannedFile } from "./folder.ts";

/** The bytes of a file in the version that was planned. Error: `FILE_CHANGED`. */
export class FileBytes extends StoredBytes {
  readonly path: string;
  readonly key: string;

  constructor(store: ObjectStore, file: PlannedFile) {
    const path = `${store.location}/${file.key}`;
    super(store, file, () => fileChanged(file.key, path));
    this.key = file.key;
    this.path = path;
  }
}

function fileChanged(key: string, path: string): MillraceError {
  return new MillraceError("FILE_CHANGED", `${key} is gone, or was changed after its batch was planned`, {
    where: { path },
    hint: "Put it back as it was, with its time, or set `ignoreMissingFiles: true` to go on without it; then run again.",
  });
}
