import type { Mutation } from "./mutation.ts";

const RESUME = "shared/engine/resume.ts";
const MEMORY_TABLE = "shared/connectors/memory/table.ts";
const MEMORY_MERGE = "shared/connectors/memory/merge-changes.ts";
const NOT_MEANT = "the rows are not those that commands mean";
const NOT_NEWEST = "a merged row is not the newest state of its key";

/** Mutations of commands that change rows, and of streams of changes. */
export const ROW_LEVEL_MUTATIONS: readonly Mutation[] = [
  {
    rule: "22",
    what: "an attempt after an abort reads the rows that the last one has found",
    caughtBy: "rows that change between the scan of a command and its commit",
    shows: "runs without faults do not come to an end",
    edits: [
      {
        file: RESUME,
        find: '!isCommand || found === "landed"',
        replace: "isCommand || !isCommand",
      },
    ],
  },
  {
    rule: "22",
    what: "each attempt of a command has a plan id of its own",
    caughtBy: "a commit of a command that lands when its batch was aborted",
    shows: "a batch is left open",
    edits: [{ file: RESUME, find: "pipeline.command === undefined ? ports", replace: "pipeline ? ports" }],
  },
  {
    rule: "22",
    what: "the rows of both sides of a merge are not exchanged",
    caughtBy: "a merge whose rows are in several tasks",
    shows: NOT_MEANT,
    edits: [
      {
        file: "shared/engine/row-level/command-transform.ts",
        find: "join === undefined || inputPartitions <= 1",
        replace: "join === undefined || inputPartitions > 0",
      },
    ],
  },
  {
    rule: "22",
    what: "the operation is not told what another step has scanned",
    caughtBy: "a merge whose rows are in several tasks",
    shows: "runs without faults do not come to an end",
    edits: [
      {
        file: "shared/engine/row-level/command-write.ts",
        find: "    await this.parts.tellScanned();\n",
        replace: "",
      },
    ],
  },
  {
    rule: "22",
    what: "the rows that an attempt of a task has counted count for the next one, too",
    caughtBy: "an update by its changes",
    shows: "a command counts",
    edits: [
      {
        file: "shared/engine/row-level/operation-writer.ts",
        find: "this.#counts = counts.map(() => 0);",
        replace: "this.#counts = ((counts as { all?: number[] }).all ??= counts.map(() => 0));",
      },
    ],
  },
  {
    rule: "22",
    what: "a deletion by the table leaves no record of its batch",
    caughtBy: "a deletion by the table whose answer is lost",
    shows: NOT_MEANT,
    edits: [
      {
        file: "shared/contract/write/delete.ts",
        find: "return await table.deleteWhere(predicates, options, batch);",
        replace: "return await table.deleteWhere(predicates, options);",
      },
    ],
  },
  {
    rule: "22",
    what: "a command that is skipped by hand is carried out",
    caughtBy: "a deletion by the table that is skipped",
    shows: NOT_MEANT,
    edits: [
      {
        file: "shared/engine/row-level/command-session.ts",
        find: "if (input?.isSkipped === true)",
        replace: "if (input === null)",
      },
    ],
  },
  {
    rule: "22",
    what: "an abort needs the plan of the scan",
    caughtBy: "a merge that is aborted when its plan is lost",
    shows: "a batch is left aborting",
    edits: [
      {
        file: "shared/engine/write-of-batch.ts",
        find: "if (!commitsNothing || !isPlanLost) throw error;",
        replace: "throw isPlanLost ? error : error;",
      },
    ],
  },
  {
    rule: "23",
    what: "changes of one key stay in the tasks that have read them",
    caughtBy: "a run whose changes are merged by key",
    shows: "changes of one key are in two tasks",
    edits: [
      {
        file: "shared/engine/auto-cdc/merge-write.ts",
        find: "if (inputPartitions <= 1) return [];",
        replace: "if (inputPartitions > 0) return [];",
      },
    ],
  },
  {
    rule: "23",
    what: "of the changes of a key in a batch the first one stays",
    caughtBy: "a run whose changes are merged by key",
    shows: NOT_NEWEST,
    edits: [
      {
        file: "shared/engine/auto-cdc/last-changes.ts",
        find: '      this.counts.superseded++;\n      return "next";',
        replace: '      this.counts.superseded++;\n      return "held";',
      },
    ],
  },
  {
    rule: "23",
    what: "the changes of a key are compared in the order in which they were read",
    caughtBy: "a run whose changes are merged by key",
    shows: NOT_NEWEST,
    edits: [
      {
        file: "shared/engine/auto-cdc/sort-changes.ts",
        find: "[...keys, ADDED.sequence, ADDED.partition, ADDED.row]",
        replace: "[...keys, ADDED.partition, ADDED.row]",
      },
    ],
  },
  {
    rule: "9",
    what: "a table in memory carries a command out again although it has the batch",
    caughtBy: "changes of rows in memory",
    shows: "a command was carried out twice",
    edits: [
      {
        file: MEMORY_TABLE,
        find: "=> RowChanges,\n  ): void {\n    if (this.has(batch)) return;",
        replace: "=> RowChanges,\n  ): void {",
      },
    ],
  },
  {
    rule: "9",
    what: "a table in memory deletes again although it has the batch",
    caughtBy: "changes of rows in memory",
    shows: "rows that came after a deletion are gone",
    edits: [
      {
        file: MEMORY_TABLE,
        find: "    if (this.has(batch)) return this.#newest.get(pipeline)?.rowsReplaced ?? 0;\n    const rowsReplaced = this.#replace(replaced, []);",
        replace: "    const rowsReplaced = this.#replace(replaced, []);",
      },
    ],
  },
  {
    rule: "22",
    what: "a table in memory changes rows that are not those that were scanned",
    caughtBy: "changes of rows in memory",
    shows: "a command is carried out although its rows have changed",
    edits: [
      {
        file: "shared/connectors/memory/row-level.ts",
        find: "if (old === undefined || !current.has(old)) throw changedSince(table);",
        replace: "if (old === undefined) throw changedSince(table);",
      },
    ],
  },
  {
    rule: "23",
    what: "in memory, a change with the sequence of the last one takes effect",
    caughtBy: "late changes in memory",
    shows: "an equal sequence wins",
    edits: [
      {
        file: MEMORY_MERGE,
        find: "last.sequence.compare(mark.sequence) >= 0",
        replace: "last.sequence.compare(mark.sequence) > 0",
      },
    ],
  },
  {
    rule: "23",
    what: "in memory, an older change takes effect",
    caughtBy: "late changes in memory",
    shows: "an older change wins",
    edits: [
      {
        file: MEMORY_MERGE,
        find: "last.sequence.compare(mark.sequence) >= 0",
        replace: "last.sequence.compare(mark.sequence) === 0",
      },
    ],
  },
  {
    rule: "23",
    what: "in memory, a deleted key keeps no tombstone",
    caughtBy: "late changes in memory",
    shows: "a deleted row is back",
    edits: [
      {
        file: MEMORY_MERGE,
        find: "!isDelete || since + tombstonesKeptMilliseconds > plannedAt;",
        replace: "!isDelete || since + tombstonesKeptMilliseconds < 0;",
      },
    ],
  },
];
