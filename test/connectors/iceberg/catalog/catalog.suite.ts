import { describe, expect, it } from "vitest";
import type {
  IcebergCatalog,
  LoadedTable,
  NewTable,
  TableCommit,
  TableIdentifier,
} from "../../../../shared/connectors/iceberg/catalog/catalog.ts";
import { headSnapshot } from "../../../../shared/connectors/iceberg/format/metadata.ts";
import type {
  IcebergSchema,
  Snapshot,
  TableUpdate,
} from "../../../../shared/connectors/iceberg/format/types.ts";
import { failure } from "../../../support/api-server.ts";

/** A catalog under test, and what its kind can do. */
export interface CatalogUnderTest {
  /** Opens the catalog once more, as another process would. */
  open(): Promise<IcebergCatalog>;
  /** False if a namespace has one level only. */
  readonly hasNestedNamespaces?: boolean;
  /**
   * True if the catalog miscounts the ids of nested fields and of partition fields, as MiniStack
   * does.
   */
  readonly isFlat?: boolean;
  /** The code of the error for a name with a dot; `undefined` if it is a name like any other. */
  readonly dots?: string;
}

export const SCHEMA: IcebergSchema = {
  type: "struct",
  "schema-id": 0,
  fields: [
    { id: 1, name: "id", required: true, type: "long" },
    { id: 2, name: "at", required: false, type: "timestamptz" },
    {
      id: 3,
      name: "place",
      required: false,
      type: { type: "struct", fields: [{ id: 4, name: "name", required: false, type: "string" }] },
    },
  ],
};

/** The same without a struct, with the same number of fields. */
const FLAT: IcebergSchema = {
  ...SCHEMA,
  fields: [
    ...SCHEMA.fields.slice(0, 2),
    { id: 3, name: "place", required: false, type: "string" },
    { id: 4, name: "name", required: false, type: "string" },
  ],
};

export const NEW_TABLE: NewTable = {
  schema: SCHEMA,
  partitionFields: [{ "source-id": 2, "field-id": 1000, name: "at_day", transform: "day" }],
  properties: { "write.parquet.compression-codec": "zstd" },
};

function tableOf({ isFlat }: CatalogUnderTest): NewTable {
  return isFlat === true ? { ...NEW_TABLE, schema: FLAT, partitionFields: [] } : NEW_TABLE;
}

let names = 0;

/** Returns the name of a table that no other test uses. */
export function newName(...namespace: string[]): TableIdentifier {
  return { namespace: namespace.length === 0 ? ["shop"] : namespace, name: `orders_${++names}` };
}

/** A commit as the sink makes it: a snapshot, a marker, and what else is given. */
export function appendTo(
  { metadata }: LoadedTable,
  id: bigint,
  more: {
    readonly first?: readonly TableUpdate[];
    readonly properties?: Readonly<Record<string, string>>;
  } = {},
): TableCommit {
  const head = headSnapshot(metadata);
  const parent = head === undefined ? {} : { "parent-snapshot-id": head["snapshot-id"] };
  const snapshot: Snapshot = {
    "snapshot-id": id,
    ...parent,
    "sequence-number": BigInt(metadata["last-sequence-number"]) + 1n,
    "timestamp-ms": metadata["last-updated-ms"] + 1,
    "manifest-list": `${metadata.location}/metadata/snap-${id}.avro`,
    summary: { operation: "append" },
    "schema-id": metadata["current-schema-id"],
  };
  return {
    requirements: [
      { type: "assert-table-uuid", uuid: metadata["table-uuid"] },
      { type: "assert-ref-snapshot-id", ref: "main", "snapshot-id": head?.["snapshot-id"] ?? null },
    ],
    updates: [
      ...(more.first ?? []),
      { action: "add-snapshot", snapshot },
      { action: "set-snapshot-ref", "ref-name": "main", type: "branch", "snapshot-id": id },
      { action: "set-properties", updates: { "millrace.p.i": String(id), ...more.properties } },
    ],
  };
}

export async function loaded(catalog: IcebergCatalog, table: TableIdentifier): Promise<LoadedTable> {
  const found = await catalog.loadTable(table);
  if (found === undefined) throw new Error(`there is no table ${table.name}`);
  return found;
}

/** What every catalog must do. */
export function catalogSuite(kind: string, start: () => Promise<CatalogUnderTest>): void {
  describe(`a catalog: ${kind}`, () => {
    it(`A table that ${kind} creates has the schema, partitioning and properties of the request`, async () => {
      const under = await start();
      const spec = tableOf(under);
      const catalog = await under.open();
      const table = newName();
      const made = await catalog.createTable(table, spec);
      const { metadata } = await loaded(catalog, table);
      expect(metadata["table-uuid"]).toBe(made.metadata["table-uuid"]);
      expect(metadata["format-version"]).toBe(2);
      expect(metadata.schemas[0]?.fields).toEqual(spec.schema.fields);
      expect(metadata["partition-specs"][0]?.fields).toEqual(spec.partitionFields);
      expect(metadata.properties["write.parquet.compression-codec"]).toBe("zstd");
      expect(headSnapshot(metadata)).toBeUndefined();
      await catalog.close();
    });

    it(`A table that two clients of ${kind} create at once is one table`, async () => {
      const under = await start();
      const spec = tableOf(under);
      const clients = await Promise.all([under.open(), under.open(), under.open()]);
      const table = newName("race");
      const made = await Promise.all(clients.map((client) => client.createTable(table, spec)));
      const again = await clients[0]?.createTable(table, spec);
      expect(new Set([...made, again].map((each) => each?.metadata["table-uuid"])).size).toBe(1);
      for (const client of clients) await client.close();
    });

    it(`A table or a namespace that ${kind} does not have is undefined`, async () => {
      const under = await start();
      const spec = tableOf(under);
      const catalog = await under.open();
      expect(await catalog.loadTable({ namespace: ["nowhere"], name: "none" })).toBeUndefined();
      await catalog.createTable(newName(), spec);
      expect(await catalog.loadTable({ namespace: ["shop"], name: "none" })).toBeUndefined();
      await catalog.close();
    });

    it(`A snapshot, its marker and 64-bit ids are in ${kind} as they were committed`, async () => {
      const under = await start();
      const spec = tableOf(under);
      const catalog = await under.open();
      const table = newName();
      const made = await catalog.createTable(table, spec);
      const id = 9_007_199_254_740_993n;
      expect(await catalog.commitTable(table, made, appendTo(made, id))).toEqual({ outcome: "committed" });
      const second = await loaded(catalog, table);
      const max = 9_223_372_036_854_775_807n;
      expect(await catalog.commitTable(table, second, appendTo(second, max))).toEqual({
        outcome: "committed",
      });
      const other = await under.open();
      const { metadata } = await loaded(other, table);
      expect(headSnapshot(metadata)?.["snapshot-id"]).toBe(max);
      expect(headSnapshot(metadata)?.["parent-snapshot-id"]).toBe(id);
      expect(metadata.snapshots.map((snapshot) => snapshot["snapshot-id"])).toEqual([id, max]);
      expect(metadata.properties["millrace.p.i"]).toBe(String(max));
      expect(Number(metadata["last-sequence-number"])).toBe(2);
      await Promise.all([catalog.close(), other.close()]);
    });

    it(`Of two commits that are made from one state of a table in ${kind}, one is a conflict`, async () => {
      const under = await start();
      const spec = tableOf(under);
      const [one, two] = await Promise.all([under.open(), under.open()]);
      const table = newName();
      const base = await one.createTable(table, spec);
      const outcomes = await Promise.all([
        one.commitTable(table, base, appendTo(base, 11n)),
        two.commitTable(table, base, appendTo(base, 12n)),
      ]);
      expect(outcomes.map(({ outcome }) => outcome).sort()).toEqual(["committed", "conflict"]);
      const { metadata } = await loaded(one, table);
      expect(metadata.snapshots).toHaveLength(1);
      expect((await one.commitTable(table, base, appendTo(base, 13n))).outcome).toBe("conflict");
      await Promise.all([one.close(), two.close()]);
    });

    it(`A snapshot id that a table in ${kind} has already is an unknown outcome`, async () => {
      const under = await start();
      const spec = tableOf(under);
      const catalog = await under.open();
      const table = newName();
      const made = await catalog.createTable(table, spec);
      await catalog.commitTable(table, made, appendTo(made, 7n));
      const later = await loaded(catalog, table);
      expect((await catalog.commitTable(table, later, appendTo(later, 7n))).outcome).toBe("unknown");
      expect((await loaded(catalog, table)).metadata.snapshots).toHaveLength(1);
      await catalog.close();
    });

    it(`One commit to ${kind} adds a column and a snapshot with it`, async () => {
      const under = await start();
      const spec = tableOf(under);
      const catalog = await under.open();
      const table = newName();
      const made = await catalog.createTable(table, spec);
      const fields = [...spec.schema.fields, { id: 5, name: "note", required: false, type: "string" }];
      const schema: IcebergSchema = { type: "struct", "schema-id": 1, fields };
      const commit = appendTo(made, 21n, {
        first: [
          { action: "add-schema", schema, "last-column-id": 5 },
          { action: "set-current-schema", "schema-id": 1 },
        ],
      });
      const requirements: TableCommit["requirements"] = [
        ...commit.requirements,
        { type: "assert-current-schema-id", "current-schema-id": 0 },
        { type: "assert-last-assigned-field-id", "last-assigned-field-id": 4 },
      ];
      expect(await catalog.commitTable(table, made, { ...commit, requirements })).toEqual({
        outcome: "committed",
      });
      const { metadata } = await loaded(catalog, table);
      expect(metadata["current-schema-id"]).toBe(1);
      expect(metadata["last-column-id"]).toBe(5);
      expect(metadata.schemas.find((each) => each["schema-id"] === 1)?.fields).toEqual(fields);
      const again = await loaded(catalog, table);
      const stale = { ...appendTo(again, 22n), requirements };
      expect((await catalog.commitTable(table, again, stale)).outcome).toBe("conflict");
      await catalog.close();
    });

    it(`Properties of a table in ${kind} are set and removed`, async () => {
      const under = await start();
      const spec = tableOf(under);
      const catalog = await under.open();
      const table = newName();
      const made = await catalog.createTable(table, spec);
      const text = 'ż "quoted" \\ 😀';
      await catalog.commitTable(table, made, appendTo(made, 31n, { properties: { text } }));
      const second = await loaded(catalog, table);
      expect(second.metadata.properties["text"]).toBe(text);
      const removal: TableCommit = {
        requirements: appendTo(second, 1n).requirements,
        updates: [{ action: "remove-properties", removals: ["text"] }],
      };
      expect(await catalog.commitTable(table, second, removal)).toEqual({ outcome: "committed" });
      expect((await loaded(catalog, table)).metadata.properties).not.toHaveProperty("text");
      await catalog.close();
    });

    it(`A commit to a table that is not in ${kind} is an error, not a conflict`, async () => {
      const under = await start();
      const spec = tableOf(under);
      const catalog = await under.open();
      const made = await catalog.createTable(newName(), spec);
      const error = await failure(() =>
        catalog.commitTable({ namespace: ["shop"], name: "dropped" }, made, appendTo(made, 41n)),
      );
      expect(error.code).toBe("TABLE_NOT_FOUND");
      await catalog.close();
    });

    it(`A namespace with two levels holds tables in ${kind}, or is refused`, async () => {
      const under = await start();
      const spec = tableOf(under);
      const catalog = await under.open();
      const table = newName("lake", "silver");
      if (under.hasNestedNamespaces === false) {
        expect((await failure(() => catalog.createTable(table, spec))).code).toBe("CATALOG_FAILED");
      } else {
        const made = await catalog.createTable(table, spec);
        expect((await loaded(catalog, table)).metadata["table-uuid"]).toBe(made.metadata["table-uuid"]);
        expect(await catalog.loadTable({ ...table, namespace: ["lake"] })).toBeUndefined();
        expect(await catalog.loadTable({ ...table, namespace: ["silver"] })).toBeUndefined();
      }
      await catalog.close();
    });

    it(`A name with a blank or a letter beyond ASCII names a table in ${kind}`, async () => {
      const under = await start();
      const spec = tableOf(under);
      const catalog = await under.open();
      for (const name of ["my orders", "zażółć"]) {
        const table = { namespace: ["Größe 1"], name };
        const made = await catalog.createTable(table, spec);
        expect((await loaded(catalog, table)).metadata["table-uuid"]).toBe(made.metadata["table-uuid"]);
        expect((await catalog.commitTable(table, made, appendTo(made, 51n))).outcome).toBe("committed");
      }
      await catalog.close();
    });

    it(`A name with a dot is the name of one table in ${kind}, or is refused`, async () => {
      const under = await start();
      const spec = tableOf(under);
      const catalog = await under.open();
      const table = { namespace: ["dots"], name: "a.b" };
      if (under.dots === undefined) {
        const made = await catalog.createTable(table, spec);
        expect((await loaded(catalog, table)).metadata["table-uuid"]).toBe(made.metadata["table-uuid"]);
      } else {
        expect((await failure(() => catalog.createTable(table, spec))).code).toBe(under.dots);
      }
      await catalog.close();
    });
  });
}
