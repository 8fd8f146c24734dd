import { readdir, rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { exists, Home, runtime } from "../../local/home.ts";
import type { ObjectStore } from "../../shared/contract/object-store.ts";
import { STORE_FOLDER } from "../../shared/contract/store-layout.ts";
import { withLease } from "../../shared/engine/acquire.ts";
import { giveUpRange } from "../../shared/engine/backfill/claim.ts";
import type { Ledger } from "../../shared/engine/ports/ledger.ts";
import { type ActionFlags, actionOf, type ConsentFlags, withConsent, withIsoTime } from "../person.ts";
import { formatFields, formatOffset } from "../render/text.ts";
import { type TargetFlags, withTarget } from "../targets/open.ts";
import { findPipeline, requireHead, type Target } from "../targets/target.ts";

interface ForgetFlags extends TargetFlags, ActionFlags, ConsentFlags {
  readonly json?: boolean;
}

/** Folders of a pipeline's store that belong to the engine. What sinks keep there stays. */
const OWN_FOLDERS = [STORE_FOLDER.batches, STORE_FOLDER.source, STORE_FOLDER.staging] as const;
/** Rows of skipped batches, which are nowhere else. */
const ASIDE = `${STORE_FOLDER.source}/aside/`;

/**
 * `millrace forget`: removes everything that is known about one pipeline, but no rows. Returns the
 * exit code.
 */
export async function forgetCommand(name: string, flags: ForgetFlags): Promise<number> {
  return await withTarget(flags, async (target) => {
    const found = await findPipeline(target, name);
    const { ledger } = found;
    const head = await requireHead(found);
    const action = actionOf(flags);
    const store = target.storeOf(name);
    return await withConsent(
      {
        shown: `${name}: forget\n${formatFields([
          ["offset", formatOffset(head.offset)],
          [
            "removed",
            `its offset, batches and journal${store === undefined ? "" : "; staged files, plans and what its source keeps"}`,
          ],
          ["stays", "what it has written, and rows that a skip has set aside"],
          [
            "danger",
            "a pipeline of this name begins anew: a sink that knows it refuses it until it is adopted",
          ],
        ])}`,
        question: "Forget it?",
        done: `${name}: forgotten`,
        result: { pipeline: name, action: "forget", ...withIsoTime(action) },
        apply: () => forget(target, name, flags, action.by, ledger, store),
      },
      flags,
    );
  });
}

async function forget(
  target: Target,
  name: string,
  flags: ForgetFlags,
  by: string,
  ledger: Ledger,
  store: ObjectStore | undefined,
): Promise<void> {
  const claim = target.claim(`millrace forget by ${by}`);
  try {
    const { owner } = claim;
    const request = { owner, hasEnded: (each: typeof owner) => target.hasEnded(each) };
    await withLease(name, { ledger, runtime }, request, async (_head, fence) => {
      // The ledger goes last: until then the command can be repeated.
      for (const folder of store === undefined ? [] : OWN_FOLDERS)
        await emptyFolder(store as ObjectStore, folder);
      await ledger.forget(fence);
    });
    // The range goes last: while it is taken, no other backfill can get this name.
    await giveUpRange(ledger, name, { by, at: runtime.now() });
    if (flags.stack === undefined && flags.table === undefined) await removeEmpty(new Home(flags.home), name);
  } finally {
    claim.end();
  }
}

/** Deletes the objects of a folder, except rows that a skip has set aside. */
async function emptyFolder(store: ObjectStore | undefined, folder: string): Promise<void> {
  if (store === undefined) return;
  const keys: string[] = [];
  for await (const { key } of store.list(`${folder}/`)) if (!key.startsWith(ASIDE)) keys.push(key);
  await store.delete(keys);
}

/** Removes the record of the pipeline's file and the folders that are empty now. */
async function removeEmpty(home: Home, name: string): Promise<void> {
  const folder = home.pipelineFolder(name);
  await rm(join(folder, "pipeline.json"), { force: true });
  for (const own of OWN_FOLDERS) await removeIfEmpty(join(folder, own));
  await removeIfEmpty(folder);
}

async function removeIfEmpty(folder: string): Promise<void> {
  if (!exists(folder)) return;
  for (const entry of await readdir(folder, { withFileTypes: true }))
    if (entry.isDirectory()) await removeIfEmpty(join(folder, entry.name));
  if ((await readdir(folder)).length === 0) await rmdir(folder);
}
