import { Home, runtime } from "../../local/home.ts";
import { hasEnded, OwnerLock } from "../../local/owner-lock.ts";
import { DirectoryStore } from "../../shared/platform/embedded/directory-store.ts";
import { ledgerTarget, type Target } from "./target.ts";

/** Returns the target for the pipelines of a local home. Error: `HOME_NOT_FOUND`. */
export async function homeTarget(folder: string): Promise<Target> {
  const home = new Home(folder);
  const ledger = await home.openLedger({ create: false });
  return {
    ...ledgerTarget(ledger, `in ${home.root}`),
    storeOf: (pipeline) => new DirectoryStore(home.pipelineFolder(pipeline), home.rights),
    logPath: (pipeline) => home.logPath(pipeline),
    hasEnded: (owner) => hasEnded(home.ownersFolder, owner),
    claim(description) {
      const lock = new OwnerLock(home.ownersFolder, runtime.newId(), description);
      return { owner: lock.owner, end: () => lock.release() };
    },
    close: () => ledger.close(),
  };
}
