import { describe, expect, it } from "vitest";
import { encodeSchema } from "../../../shared/arrow/ipc-file.ts";
import { openLog, readHead } from "../../../shared/connectors/arrow-table/log.ts";
import type { LogEntry } from "../../../shared/connectors/arrow-table/log-entry.ts";
import { entryKey, putEntry } from "../../../shared/connectors/arrow-table/log-entry.ts";
import { liveFiles } from "../../../shared/connectors/arrow-table/open-state.ts";
import { tableSchemaOf } from "../../../shared/connectors/arrow-table/stored-schema.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import type { ObjectStore } from "../../../shared/contract/object-store.ts";
import { MemoryStore, memoryObjects } from "../../../shared/platform/memory/memory-store.ts";

/** Stands in entries where their text must not get into a message. */
const CANARY = "\u001b]0;owned\u0007";

const file = { path: "data/orders/life-1/x.arrow", rows: 1, bytes: 1 };
const entry: LogEntry = {
  version: 1,
  timestamp: "2026-11-21T03:00:00.000Z",
  operation: "append",
  pipeline: "orders",
  incarnation: "life-1",
  batchId: 1,
  format: 2,
  planId: "plan-1",
  start: { n: 0 },
  end: { n: 10 },
  schema: { fields: [{ name: "id", type: "bigint", nullable: true }] },
  add: [file],
  remove: [],
};
const field = { name: "id", type: "bigint", nullable: true };
const without = (name: keyof LogEntry) =>
  Object.fromEntries(Object.entries(entry).filter(([key]) => key !== name));
const withPath = (path: unknown) => ({ ...entry, add: [{ ...file, path }] });
const withField = (changes: object) => ({ ...entry, schema: { fields: [{ ...field, ...changes }] } });
const unsigned = tableSchemaOf(parseDdl("id bigint")).schema;

/** Wrong entries of version 1, by their fault. */
const HOSTILE: Readonly<Record<string, unknown>> = {
  "is null": null,
  "is a number": 5,
  "is a string": CANARY,
  "is a list": [],
  "is a list of an entry": [entry],
  "is an empty object": {},
  "is a boolean": true,
  "has no version": without("version"),
  "has a version as text": { ...entry, version: "1" },
  "has a version with a fraction": { ...entry, version: 1.5 },
  "has a negative version": { ...entry, version: -1 },
  "has the version of another name": { ...entry, version: 2 },
  "has a version beyond 2^53": { ...entry, version: 2 ** 53 },
  "has no timestamp": without("timestamp"),
  "has a timestamp as number": { ...entry, timestamp: 1_700_000_000_000 },
  "has a timestamp that is none": { ...entry, timestamp: CANARY },
  "has a timestamp without a zone": { ...entry, timestamp: "2026-11-21T03:00:00.000" },
  "has a day that does not exist": { ...entry, timestamp: "2026-02-30T03:00:00.000Z" },
  "has no operation": without("operation"),
  "has another operation": { ...entry, operation: CANARY },
  "has an operation of a prototype": { ...entry, operation: "toString" },
  "has no pipeline": without("pipeline"),
  "has an empty pipeline": { ...entry, pipeline: "" },
  "has a pipeline as object": { ...entry, pipeline: { name: "orders" } },
  "has an escape in the pipeline": { ...entry, pipeline: CANARY },
  "has no incarnation": without("incarnation"),
  "has a null incarnation": { ...entry, incarnation: null },
  "has a mark of direction in the incarnation": { ...entry, incarnation: "a\u202eb" },
  "has no batchId": without("batchId"),
  "has a batchId as text": { ...entry, batchId: "1" },
  "has a negative batchId": { ...entry, batchId: -1 },
  "has a batchId beyond 2^53": { ...entry, batchId: 1e300 },
  "has a format as text": { ...entry, format: "2" },
  "has format 0": { ...entry, format: 0 },
  "has a null format": { ...entry, format: null },
  "has no planId in format 2": without("planId"),
  "has a planId as number": { ...entry, planId: 7 },
  "has a start as list": { ...entry, start: [] },
  "has an end as text": { ...entry, end: CANARY },
  "has a null end": { ...entry, end: null },
  "has no schema": without("schema"),
  "has a null schema": { ...entry, schema: null },
  "has a schema as DDL": { ...entry, schema: "id bigint" },
  "has a schema without fields": { ...entry, schema: {} },
  "has fields as object": { ...entry, schema: { fields: {} } },
  "has a null field": { ...entry, schema: { fields: [null] } },
  "has a field without a name": withField({ name: undefined }),
  "has a field with a name as number": withField({ name: 5 }),
  "has a field without a type": withField({ type: undefined }),
  "has a field with an empty type": withField({ type: "" }),
  "has a field with an escape in its type": withField({ type: CANARY }),
  "has a field with nullable as text": withField({ nullable: "true" }),
  "has an Arrow schema as object": { ...entry, arrowSchema: {} },
  "has an Arrow schema that is not base64": { ...entry, arrowSchema: `*${CANARY}*` },
  "has an empty Arrow schema": { ...entry, arrowSchema: "" },
  "has an Arrow schema of zeros": { ...entry, arrowSchema: Buffer.alloc(400).toString("base64") },
  "has an Arrow schema of other fields": {
    ...entry,
    schema: { fields: [field, field] },
    arrowSchema: encodeSchema(parseDdl("id bigint")),
  },
  "has no add": without("add"),
  "has a null add": { ...entry, add: null },
  "has add as object": { ...entry, add: { 0: file, length: 1 } },
  "has a null file": { ...entry, add: [null] },
  "has a file as text": { ...entry, add: [file.path] },
  "has a file as list": { ...entry, add: [[file.path, 1, 1]] },
  "has a file without a path": { ...entry, add: [{ rows: 1, bytes: 1 }] },
  "has a path as number": withPath(5),
  "has a null path": withPath(null),
  "has a path as list": withPath(["data/x.arrow"]),
  "has an empty path": withPath(""),
  "has a path that leads out": withPath("../victim.txt"),
  "has a path that leads out in the middle": withPath("data/../../victim.txt"),
  "has a path that ends with two dots": withPath("data/.."),
  "has a path with a dot": withPath("./data/x.arrow"),
  "has an absolute path": withPath("/etc/passwd"),
  "has a path with an empty part": withPath("data//x.arrow"),
  "has a path of a folder": withPath("data/orders/"),
  "has a path with a backslash": withPath("data\\..\\..\\victim.txt"),
  "has a path with NUL": withPath("data/x.arrow\0.txt"),
  "has a path with an escape": withPath(`data/${CANARY}`),
  "has a path with a line feed": withPath("data/x\n.arrow"),
  "has a path with a C1 control": withPath("data/x\u009b31m.arrow"),
  "has a path with a mark of direction": withPath("data/x\u202e.arrow"),
  "has a path with half a character": withPath("data/x\ud800.arrow"),
  "has a path in the log": withPath("_log/00000000000000000000.json"),
  "has a path in the checkpoints": withPath("_checkpoints/segments/x.jsonl"),
  "has a path that is too long": withPath(`data/${"x".repeat(2000)}`),
  "has the same path twice": { ...entry, add: [file, file] },
  "has a path that an earlier entry added": withPath("data/orders/life-1/0.arrow"),
  "has no rows": { ...entry, add: [{ ...file, rows: undefined }] },
  "has negative rows": { ...entry, add: [{ ...file, rows: -1 }] },
  "has rows with a fraction": { ...entry, add: [{ ...file, rows: 0.5 }] },
  "has rows beyond 2^53": { ...entry, add: [{ ...file, rows: 2 ** 60 }] },
  "has rows as text": { ...entry, add: [{ ...file, rows: "1" }] },
  "has no bytes": { ...entry, add: [{ ...file, bytes: undefined }] },
  "has bytes as null": { ...entry, add: [{ ...file, bytes: null }] },
  "has no remove": without("remove"),
  "has a null remove": { ...entry, remove: null },
  "has remove as text": { ...entry, remove: CANARY },
  "has a null removed file": { ...entry, remove: [null] },
  "removes a path that leads out": { ...entry, remove: [{ path: "../victim.txt" }] },
  "removes a path twice": { ...entry, remove: [{ path: "data/a.arrow" }, { path: "data/a.arrow" }] },
  "removes what it adds": { ...entry, remove: [file] },
  "removes what is not there": { ...entry, remove: [{ path: "data/other.arrow" }] },
};

/** Texts of entries that are not even JSON of an object. */
const GARBLED: Readonly<Record<string, string | Uint8Array>> = {
  "is empty": "",
  "is a line feed": "\n",
  "is cut off": JSON.stringify(entry).slice(0, 100),
  "is followed by another": `${JSON.stringify(entry)}\n${JSON.stringify(entry)}`,
  "is filled with zeros": new Uint8Array(400),
  "begins with a byte order mark": `\ufeff${JSON.stringify(entry)}`,
  "is not UTF-8": Buffer.from(JSON.stringify(entry).replace("orders", "\u00ff"), "latin1"),
  "has a number that is none": JSON.stringify(entry).replace('"rows":1', '"rows":NaN'),
  "is a terminal's escape": CANARY,
  "is an Arrow file": "ARROW1\0\0",
};

const WAYS: Readonly<Record<string, (table: ObjectStore) => Promise<unknown>>> = {
  "a look at the table's head": readHead,
  "a reader": (table) => Array.fromAsync(liveFiles(table)),
  "a commit": (table) => openLog(table, "orders"),
  "a commit of another pipeline": (table) => openLog(table, "clicks"),
};

/** Ways that do not look for files in earlier entries. */
const BLIND = ["a look at the table's head"];
const NEEDS_EARLIER = ["has a path that an earlier entry added", "removes what is not there"];

async function tableWith(bytes: Uint8Array): Promise<ObjectStore> {
  const table = new MemoryStore(memoryObjects(() => 0));
  await putEntry(table, {
    ...entry,
    version: 0,
    batchId: 0,
    add: [{ ...file, path: "data/orders/life-1/0.arrow" }],
  });
  await table.put(entryKey(1), bytes);
  await putEntry(table, { ...entry, version: 2, batchId: 2, add: [{ ...file, path: "data/2.arrow" }] });
  return table;
}

async function expectBroken(bytes: Uint8Array, name: string): Promise<void> {
  for (const [way, look] of Object.entries(WAYS)) {
    if (BLIND.includes(way) && NEEDS_EARLIER.includes(name)) continue;
    const error: unknown = await look(await tableWith(bytes)).then(
      () => `${way} takes an entry that ${name}`,
      (thrown: unknown) => thrown,
    );
    expect(error, way).toMatchObject({ code: "TABLE_LOG_BROKEN" });
    const { message } = error as Error;
    expect(message).toMatch(/^_log\/00000000000000000001\.json [\x20-\x7e]+$/);
    expect(message).not.toContain("victim");
    expect(message).not.toContain("passwd");
  }
}

describe("a log entry", () => {
  it.each(Object.entries(HOSTILE))(
    "A log entry that %s is refused by commits and readers",
    async (name, value) => {
      await expectBroken(Buffer.from(JSON.stringify(value)), name);
    },
  );

  it.each(Object.entries(GARBLED))(
    "A log entry whose text %s is refused by commits and readers",
    async (name, text) => {
      await expectBroken(Buffer.from(text), name);
    },
  );

  it("A log entry may have keys that are not known, in itself and in its files", async () => {
    const table = await tableWith(
      Buffer.from(
        JSON.stringify({
          ...entry,
          statistics: { id: { min: 1 } },
          add: [{ ...file, partition: { day: "2026-11-21" } }],
          __proto__x: null,
        }),
      ),
    );
    expect(await Array.fromAsync(liveFiles(table))).toHaveLength(3);
    expect(await openLog(table, "orders")).toMatchObject({ latest: 2 });
  });

  it("A log entry of format 1 needs no plan and no offsets", async () => {
    const { format: _format, planId: _planId, start: _start, end: _end, ...old } = entry;
    const table = await tableWith(Buffer.from(JSON.stringify(old)));
    expect(await Array.fromAsync(liveFiles(table))).toHaveLength(3);
  });

  it("A log entry may have paths of other programs below the table's folder", async () => {
    const paths = ["part-0.arrow", "år/höst 2.arrow", "data/..x/…/y.arrow", "data/a=1,b=2/x:y.arrow"];
    const add = paths.map((path) => ({ ...file, path }));
    const table = await tableWith(Buffer.from(JSON.stringify({ ...entry, schema: unsigned, add })));
    expect((await Array.fromAsync(liveFiles(table))).map(({ path }) => path)).toEqual(
      expect.arrayContaining(paths),
    );
  });

  it("A log entry of a newer format is refused by its format, whatever else is in it", async () => {
    for (const look of Object.values(WAYS)) {
      const table = await tableWith(Buffer.from(JSON.stringify({ version: "one", format: 4 })));
      await expect(look(table)).rejects.toMatchObject({ code: "TABLE_VERSION" });
    }
  });
});
