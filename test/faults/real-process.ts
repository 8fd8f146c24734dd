import { DatabaseSync } from "node:sqlite";
import type { ObjectStore } from "../../shared/contract/object-store.ts";
import { openFolder } from "./folder.ts";
import type { Fault } from "./kinds.ts";
import { Run } from "./run.ts";

/**
 * A program with the arguments `FOLDER NOW [CALL before|during|after]`. It runs the pipeline until
 * the run ends, or kills itself at a call. The folder contains the ledger, the store and the
 * observations.
 */

const [folder = "", now, call, moment] = process.argv.slice(2);

/**
 * Ends this process like a kill by another process: none of its code runs again, and it cleans
 * nothing up.
 */
function die(): void {
  process.kill(process.pid, "SIGKILL");
}

const isDuring = moment === "during";
const faults: readonly Fault[] =
  call === undefined || isDuring
    ? []
    : [{ at: Number(call), kind: moment === "before" ? "stop before" : "stop after" }];

let run: Run | undefined;
/** True during the call at which this process must die. Call -1 is the creation of the ledger. */
const isAtTheCall = (): boolean => isDuring && (run?.calls.length ?? 0) - 1 === Number(call);

/** Returns a store that writes half of the body at that call and then kills the process. */
function dying(store: ObjectStore): ObjectStore {
  return {
    location: store.location,
    put: (key, body) => store.put(key, isAtTheCall() ? half(body) : body),
    get: (key) => store.get(key),
    getRange: (key, start, end, etag) => store.getRange(key, start, end, etag),
    stat: (keys) => store.stat(keys),
    list: (prefix, options) => store.list(prefix, options),
    delete: (keys) => store.delete(keys),
    listUnfinished: (prefix) => store.listUnfinished(prefix),
    abandon: (upload) => store.abandon(upload),
    at: (below) => dying(store.at(below)),
  };
}

async function* half(body: Uint8Array | AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const bytes = body instanceof Uint8Array ? body : Buffer.concat(await Array.fromAsync(body));
  yield bytes.subarray(0, bytes.length / 2);
  die();
}

// At COMMIT, SQLite has written the whole transaction but has committed none of it.
const exec = DatabaseSync.prototype.exec;
DatabaseSync.prototype.exec = function (sql) {
  if (sql === "COMMIT" && isAtTheCall()) die();
  exec.call(this, sql);
};

const { world, close } = openFolder(folder, Number(now), { wrap: dying });
run = new Run(world, { faults, kill: die });
await run.start();
console.log(run.calls.join("\n"));
close();
