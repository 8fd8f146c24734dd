import { existsSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { Home, runtime } from "../../local/home.ts";
import type { ObjectStore } from "../../shared/contract/object-store.ts";
import { STORE_FOLDER } from "../../shared/contract/store-layout.ts";
import { withLease } from "../../shared/engine/acquire.ts";
import type { Ledger } from "../../shared/engine/ports/ledger.ts";
import { type ActionFlags, actionOf, type ConsentFlags, withConsent, withIsoTime } from "../person.ts";
import { formatFields, formatOffset } from "../render/text.ts";
import { type TargetFlags, withTarget } from "../targets/open.ts";
import { findPipeline, requireHead, type Target } from "../targets/target.ts";

interface ForgetFlags extends TargetFlags, ActionFlags, ConsentFlags {
  readonly json?: boolean;
}

/** Folders of a pipeline's store that belong to the engine. The table is data, and stays. */
const OWN_FOLDERS = [STORE_FOLDER.batches, STORE_FOLDER.source, STORE_FOLDER.staging] as const;

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
          ["stays", "what it has written"],
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
    if (flags.stack === undefined && flags.table === undefined)
      await removeFolder(new Home(flags.home), name);
  } finally {
    claim.end();
  }
}

async function emptyFolder(store: ObjectStore, folder: string): Promise<void> {
  const keys: string[] = [];
  for await (const { key } of store.list(`${folder}/`)) keys.push(key);
  await store.delete(keys);
}

/** Removes the pipeline's folder in a home, except its table. */
async function removeFolder(home: Home, name: string): Promise<void> {
  const folder = home.pipelineFolder(name);
  if (!existsSync(folder)) return;
  for (const entry of await readdir(folder))
    if (entry !== STORE_FOLDER.table) await rm(join(folder, entry), { recursive: true, force: true });
  if ((await readdir(folder)).length === 0) await rm(folder, { recursive: true, force: true });
}
