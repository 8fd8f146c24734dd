import type { Mutation } from "./mutation.ts";

const DURABLE = "shared/platform/embedded/durable.ts";
const DIRECTORY = "shared/platform/embedded/directory-store.ts";
const CONNECTION = "shared/platform/embedded/sqlite-connection.ts";
const STORE = "a loss of power after any change of the store's folder";
const HOME = "a loss of power at any moment of a run in a home";

/** Mutations of the disk's syncs, and of the local runner. */
export const PROBE_MUTATIONS: readonly Mutation[] = [
  {
    rule: "mistake",
    what: "a transaction of the ledger is not synced",
    caughtBy: "the settings of the ledger's connection",
    shows: "a committed transaction may be lost with the power",
    edits: [{ file: CONNECTION, find: "PRAGMA synchronous = FULL", replace: "PRAGMA synchronous = NORMAL" }],
  },
  {
    rule: "mistake",
    what: "the ledger has no write-ahead log",
    caughtBy: "the settings of the ledger's connection",
    shows: "status cannot read while a run writes",
    edits: [{ file: CONNECTION, find: "PRAGMA journal_mode = WAL", replace: "PRAGMA journal_mode = DELETE" }],
  },
  {
    rule: "mistake",
    what: "an object's bytes are not synced before it gets its name",
    caughtBy: STORE,
    shows: "a part of an object has its final name",
    edits: [{ file: DIRECTORY, find: "          await file.datasync();\n", replace: "" }],
  },
  {
    rule: "mistake",
    what: "an object's name is not synced",
    caughtBy: STORE,
    shows: "an object that put had confirmed is gone",
    edits: [{ file: DIRECTORY, find: "      await syncFolder(folder);\n", replace: "" }],
  },
  {
    rule: "mistake",
    what: "an object has its name before its bytes",
    caughtBy: STORE,
    shows: "a part of an object has its final name",
    edits: [
      {
        file: DIRECTORY,
        find: "          await writeAll(file, body);\n",
        replace: "          await linkIfAbsent(upload, path);\n          await writeAll(file, body);\n",
      },
    ],
  },
  {
    rule: "mistake",
    what: "a folder is not synced",
    caughtBy: STORE,
    shows: "an object that put had confirmed is gone",
    edits: [{ file: DURABLE, find: "    await handle.sync();\n", replace: "" }],
  },
  {
    rule: "mistake",
    what: "the name of a new folder is not synced",
    caughtBy: STORE,
    shows: "an object that put had confirmed is gone",
    edits: [{ file: DURABLE, find: "isNew ? syncFolder(parent)", replace: "isNew ? Promise.resolve()" }],
  },
  {
    rule: "mistake",
    what: "a folder that exists counts as durable",
    caughtBy: STORE,
    shows: "an object that put had confirmed is gone",
    edits: [{ file: DURABLE, find: ": syncIfPermitted(parent);", replace: ": Promise.resolve();" }],
  },
  {
    rule: "mistake",
    what: "a folder that was removed and made again counts as durable",
    caughtBy: STORE,
    shows: "an object that put had confirmed is gone",
    edits: [
      {
        file: DURABLE,
        find: "const known = isNew ? undefined : durableNames.get(folder);",
        replace: "const known = durableNames.get(folder);",
      },
    ],
  },
  {
    rule: "mistake",
    what: "the parents of a new folder are not synced",
    caughtBy: STORE,
    shows: "an object that put had confirmed is gone",
    edits: [
      { file: DURABLE, find: "synced.then(() => makeNameDurable(parent, firstNew))", replace: "synced" },
    ],
  },
  {
    rule: "mistake",
    what: "a file of the home is not synced before it gets its name",
    caughtBy: HOME,
    shows: "what is left cannot be used",
    edits: [{ file: DURABLE, find: "      await file.datasync();\n", replace: "" }],
  },
  {
    rule: "mistake",
    what: "the name of a file of the home is not synced",
    caughtBy: HOME,
    shows: "the pipeline's file is forgotten",
    edits: [{ file: DURABLE, find: "  await syncFolder(dirname(path));\n", replace: "" }],
  },
  {
    rule: "mistake",
    what: "the ledger names a plan that is not on disk",
    caughtBy: HOME,
    shows: "the plan of a batch was deleted",
    edits: [{ file: DIRECTORY, find: "      await syncFolder(folder);\n", replace: "" }],
  },
  {
    rule: "mistake",
    what: "the owner's lock is released before the tasks have ended",
    caughtBy: "a run that ends while a task still writes",
    shows: "the lock of a run is free while its tasks may still write",
    edits: [
      {
        file: "local/runner.ts",
        find: "[() => steps?.end(), () => code.end(), () => lock.release(),",
        replace: "[() => lock.release(), () => steps?.end(), () => code.end(),",
      },
    ],
  },
  {
    rule: "mistake",
    what: "a task that failed does not stop the others",
    caughtBy: "a task that fails beside one that takes long",
    shows: "a task of a batch that is lost works on",
    edits: [{ file: "local/run-tasks.ts", find: "        stopping.abort();\n", replace: "" }],
  },
  {
    rule: "mistake",
    what: "an owner's lock is probed once",
    caughtBy: "a dead run's lock that another process probes",
    shows: "a dead run is taken for one that lives",
    edits: [{ file: "local/owner-lock.ts", find: "const PROBES = 5;", replace: "const PROBES = 1;" }],
  },
  {
    rule: "mistake",
    what: "refused rows are recorded only by the run that commits",
    caughtBy: "a kill after a commit that left a row out",
    shows: "a row is neither in the sink nor in the quarantine once",
    edits: [
      {
        file: "shared/engine/finalize.ts",
        find: "const isInSink = (outcome.sinkItems ?? []).length === 0;",
        replace: "const isInSink = isOwn;",
      },
    ],
  },
  {
    rule: "mistake",
    what: "refused rows count as written",
    caughtBy: "a kill after a commit that left a row out",
    shows: "the batch counts rows that the sink refused",
    edits: [
      {
        file: "shared/engine/finalize.ts",
        find: "outcomeOf(ports, tasks, further, rowsOfAll(refused))",
        replace: "outcomeOf(ports, tasks, further)",
      },
    ],
  },
];
