import { randomUUID } from "node:crypto";
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { ObjectStore } from "../../shared/contract/object-store.ts";
import { DirectoryStore } from "../../shared/platform/embedded/directory-store.ts";
import { SqliteLedger } from "../../shared/platform/embedded/sqlite-ledger.ts";
import { finish, SHAPE, tidy } from "./cases.ts";
import type { FaultKind } from "./kinds.ts";
import { RealWorld, type Sight } from "./real.ts";
import { Run } from "./run.ts";

/**
 * `FOLDER NOW run [CALL before|during|after]` runs the pipeline until the process kills itself at a
 * call. `FOLDER NOW finish` runs until there is no new data. `FOLDER NOW vacuum` runs a vacuum. The
 * folder holds the ledger, the store and the observations.
 */

const [folder = "", now, work, call, moment] = process.argv.slice(2);

/** Ends this process like a kill from outside: no code of it runs again, and no cleanup happens. */
function die(): void {
  process.kill(process.pid, "SIGKILL");
}

const isDuring = moment === "during";
const faults = new Map<number, FaultKind>();
if (call !== undefined && !isDuring)
  faults.set(Number(call), moment === "before" ? "stop before" : "stop after");

let run: Run | undefined;
/**
 * True within the call in whose middle this process dies; call -1 is the creation of the ledger.
 */
const isAtTheCall = (): boolean => isDuring && (run?.calls.length ?? 0) - 1 === Number(call);

/** A store that writes half of the body at that call and then kills the process. */
function dying(store: ObjectStore): ObjectStore {
  return {
    location: store.location,
    put: (key, body) => store.put(key, isAtTheCall() ? half(body) : body),
    get: (key) => store.get(key),
    getRange: (key, start, end) => store.getRange(key, start, end),
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

// In the middle of a transaction everything is written and nothing is committed.
const exec = DatabaseSync.prototype.exec;
DatabaseSync.prototype.exec = function (sql) {
  if (sql === "COMMIT" && isAtTheCall()) die();
  exec.call(this, sql);
};

const ledger = new SqliteLedger(join(folder, "ledger.sqlite"));
const store = new DirectoryStore(join(folder, "numbers"));
const world = new RealWorld({
  pipeline: "numbers",
  shape: SHAPE,
  ledger,
  store: dying(store),
  judged: store,
  runtime: {
    now: () => Number(now),
    random: () => 0.5,
    newId: randomUUID,
    env: {},
    sleep: async () => undefined,
  },
  note: (sight: Sight) => appendFileSync(join(folder, "sights.jsonl"), `${JSON.stringify(sight)}\n`),
});
run = new Run(world, { faults, kill: die });

if (work === "run") {
  await run.start();
  console.log(run.calls.join("\n"));
} else if (work === "finish") await finish(world);
else await tidy(world);
ledger.close();
