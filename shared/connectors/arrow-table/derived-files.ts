import type { ObjectStore } from "../../contract/object-store.ts";
import { sha256 } from "../kit/sha256.ts";

/** Writes a file whose name is the digest of its bytes. A damaged one of that name is replaced. */
export async function putDerived(table: ObjectStore, key: string, bytes: Uint8Array): Promise<void> {
  if (await table.put(key, bytes)) return;
  const present = await table.get(key);
  if (present !== undefined && Buffer.from(present).equals(bytes)) return;
  await table.delete([key]);
  await table.put(key, bytes);
}

/** Returns the digest that names a derived file. */
export function digestOf(content: string | Uint8Array): string {
  return sha256(content).toString("hex", 0, 16);
}
