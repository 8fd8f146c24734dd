import { batchDigits } from "../../contract/keys.ts";
import { STORE_FOLDER } from "../../contract/store-layout.ts";

/** Returns the folder of a batch's quarantined rows, such as `quarantine/000000000012/`. */
export function quarantineFolder(batchId: number): string {
  return `${STORE_FOLDER.quarantine}/${batchDigits(batchId)}/`;
}
