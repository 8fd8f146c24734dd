import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import type { IcebergCatalog, LoadedTable } from "../../../../shared/connectors/iceberg/catalog/catalog.ts";
import { parseTableName, tableNameOf } from "../../../../shared/connectors/iceberg/catalog/identifier.ts";
import { hasOwnUuid } from "../../../../shared/connectors/iceberg/catalog/own-uuid.ts";
import { failure } from "../../../support/api-server.ts";
import { folderInMemory } from "../../../support/folder.ts";
import { appendTo, catalogSuite, loaded, NEW_TABLE } from "./catalog.suite.ts";
import { open, openSqlite } from "./open.ts";

catalogSuite("SQLite", async () => {
  const folder = folderInMemory();
  return { open: async () => await openSqlite(folder), dots: "TABLE_NAME_INVALID" };
});

const ORDERS = { namespace: ["shop"], name: "orders" };

/** Runs a statement as another program would. */
function sql(folder: string, statement: string): Record<string, unknown>[] {
  const database = new DatabaseSync(join(folder, "catalog.db"));
  try {
    return database.prepare(statement).all();
  } finally {
    database.close();
  }
}

/** Commits snapshots with these ids, one after the other. */
async function append(catalog: IcebergCatalog, ...ids: bigint[]): Promise<LoadedTable> {
  let table = await loaded(catalog, ORDERS);
  for (const id of ids) {
    expect(await catalog.commitTable(ORDERS, table, appendTo(table, id))).toEqual({ outcome: "committed" });
    table = await loaded(catalog, ORDERS);
  }
  return table;
}

function metadataFiles(folder: string): string[] {
  return readdirSync(join(folder, "shop/orders/metadata")).sort();
}

describe("the files of a SQL catalog", () => {
  it("Metadata files are numbered, have a UUID of Millrace, and are named by file:/// locations", async () => {
    const folder = folderInMemory();
    const catalog = await openSqlite(folder);
    const made = await catalog.createTable(ORDERS, NEW_TABLE);
    const { metadataLocation } = await append(catalog, 1n, 2n);
    expect(made.metadata.location).toBe(`file://${folder}/shop/orders`);
    const files = metadataFiles(folder);
    expect(files.map((name) => name.slice(0, 6))).toEqual(["00000-", "00001-", "00002-"]);
    expect(files.every((name) => hasOwnUuid(name) && name.endsWith(".metadata.json"))).toBe(true);
    expect(metadataLocation).toBe(`file://${folder}/shop/orders/metadata/${files[2]}`);
    const [row] = sql(folder, "SELECT * FROM iceberg_tables");
    expect(row).toEqual({
      catalog_name: "millrace",
      table_namespace: "shop",
      table_name: "orders",
      metadata_location: metadataLocation,
      previous_metadata_location: `file://${folder}/shop/orders/metadata/${files[1]}`,
      iceberg_type: "TABLE",
    });
    expect(sql(folder, "SELECT namespace, property_key FROM iceberg_namespace_properties")).toEqual([
      { namespace: "shop", property_key: "exists" },
    ]);
  });

  it("The metadata file of a commit that another one was faster than is removed", async () => {
    const folder = folderInMemory();
    const catalog = await openSqlite(folder);
    const base = await catalog.createTable(ORDERS, NEW_TABLE);
    await append(catalog, 1n);
    const before = metadataFiles(folder);
    expect((await catalog.commitTable(ORDERS, base, appendTo(base, 2n))).outcome).toBe("conflict");
    expect(metadataFiles(folder)).toEqual(before);
  });

  it("Old metadata files are removed after a commit if the table's properties say so", async () => {
    const folder = folderInMemory();
    const catalog = await openSqlite(folder);
    const properties = {
      "write.metadata.delete-after-commit.enabled": "true",
      "write.metadata.previous-versions-max": "2",
    };
    await catalog.createTable(ORDERS, { ...NEW_TABLE, properties });
    const { metadata } = await append(catalog, 1n, 2n, 3n, 4n, 5n);
    expect(metadataFiles(folder).map((name) => name.slice(0, 5))).toEqual(["00003", "00004", "00005"]);
    expect(metadata["metadata-log"]).toHaveLength(2);
  });

  it("Metadata is compressed, and written to another folder, if the table's properties say so", async () => {
    const folder = folderInMemory();
    const catalog = await openSqlite(folder);
    const properties = {
      "write.metadata.compression-codec": "gzip",
      "write.metadata.path": `file://${folder}/elsewhere`,
    };
    await catalog.createTable(ORDERS, { ...NEW_TABLE, properties });
    const { metadataLocation = "" } = await append(catalog, 1n);
    expect(metadataLocation).toMatch(/\/elsewhere\/00001-[0-9a-f-]{36}\.gz\.metadata\.json$/);

    const text = gunzipSync(readFileSync(metadataLocation.replace("file://", ""))).toString();
    expect(JSON.parse(text)).toMatchObject({ "format-version": 2 });
  });

  it("A new table does not share the folder of one that was dropped", async () => {
    const folder = folderInMemory();
    const catalog = await openSqlite(folder);
    const first = await catalog.createTable(ORDERS, NEW_TABLE);
    sql(folder, "DELETE FROM iceberg_tables");
    const second = await catalog.createTable(ORDERS, NEW_TABLE);
    expect(second.metadata["table-uuid"]).not.toBe(first.metadata["table-uuid"]);
    expect(second.metadata.location).toMatch(/\/shop\/orders-[0-9a-f-]{36}$/);
  });

  it("A new table is where its options or its namespace say", async () => {
    const folder = folderInMemory();
    const catalog = await openSqlite(folder);
    const given = await catalog.createTable(ORDERS, { ...NEW_TABLE, location: `${folder}/own/` });
    expect(given.metadata.location).toBe(`file://${folder}/own`);
    sql(
      folder,
      `INSERT INTO iceberg_namespace_properties VALUES ('millrace', 'ours', 'location', 'file://${folder}/ns')`,
    );
    const inIt = await catalog.createTable({ namespace: ["ours"], name: "orders" }, NEW_TABLE);
    expect(inIt.metadata.location).toBe(`file://${folder}/ns/orders`);
    expect(
      sql(folder, "SELECT count(*) AS n FROM iceberg_namespace_properties WHERE namespace = 'ours'"),
    ).toEqual([{ n: 1 }]);
  });

  it("Folder and file of a new catalog have the rights of the home", async () => {
    const home = folderInMemory();
    chmodSync(home, 0o700);
    const catalog = await open({ type: "sqlite" }, {}, home);
    await catalog.createTable(ORDERS, NEW_TABLE);
    expect(statSync(join(home, "warehouse")).mode & 0o777).toBe(0o700);
    for (const file of ["catalog.db", "catalog.db-wal"])
      expect(statSync(join(home, "warehouse", file)).mode & 0o777).toBe(0o600);
    await catalog.close();
  });

  it("A catalog that only is looked into is not made", async () => {
    const folder = folderInMemory();
    expect(await (await openSqlite(join(folder, "new"))).loadTable(ORDERS)).toBeUndefined();
    expect(existsSync(join(folder, "new"))).toBe(false);
  });

  it("The path of the option is a file or a folder, and without a home there is no default", async () => {
    const folder = folderInMemory();
    for (const path of [`${folder}/a/lake.db`, `${folder}/b`])
      await (await openSqlite(path)).createTable(ORDERS, NEW_TABLE);
    expect(existsSync(`${folder}/a/lake.db`) && existsSync(`${folder}/b/catalog.db`)).toBe(true);
    const error = await failure(() => open({ type: "sqlite" }));
    expect(error).toMatchObject({ code: "CATALOG_MISSING", hint: expect.stringContaining("s3tables") });
  });
});

describe("a SQL catalog of other programs", () => {
  it("A catalog of version V0, which has no views, is read and written", async () => {
    const folder = folderInMemory();
    const catalog = await openSqlite(folder);
    await catalog.createTable(ORDERS, NEW_TABLE);
    await catalog.close();
    sql(folder, "ALTER TABLE iceberg_tables DROP COLUMN iceberg_type");
    const old = await openSqlite(folder);
    await append(old, 1n);
    await old.createTable({ namespace: ["shop"], name: "more" }, NEW_TABLE);
    expect(sql(folder, "SELECT table_name FROM iceberg_tables ORDER BY 1")).toEqual([
      { table_name: "more" },
      { table_name: "orders" },
    ]);
  });

  it("A view with the name of the table is an error, and is not changed", async () => {
    const folder = folderInMemory();
    const catalog = await openSqlite(folder);
    const made = await catalog.createTable(ORDERS, NEW_TABLE);
    sql(folder, "UPDATE iceberg_tables SET iceberg_type = 'VIEW'");
    const before = sql(folder, "SELECT * FROM iceberg_tables");
    for (const call of [
      () => catalog.loadTable(ORDERS),
      () => catalog.createTable(ORDERS, NEW_TABLE),
      () => catalog.commitTable(ORDERS, made, appendTo(made, 1n)),
    ])
      expect((await failure(call)).code).toBe("TABLE_NAME_TAKEN");
    expect(sql(folder, "SELECT * FROM iceberg_tables")).toEqual(before);
  });

  it("A row without a type is a table, and each name of a catalog has its own tables", async () => {
    const folder = folderInMemory();
    const catalog = await openSqlite(folder);
    await catalog.createTable(ORDERS, NEW_TABLE);
    sql(folder, "UPDATE iceberg_tables SET iceberg_type = NULL");
    await append(catalog, 1n);
    const other = await open({ type: "sqlite", path: folder, name: "other" });
    expect(await other.loadTable(ORDERS)).toBeUndefined();
  });

  it("Metadata files of other programs are followed by the next number", async () => {
    const folder = folderInMemory();
    const catalog = await openSqlite(folder);
    await catalog.createTable(ORDERS, NEW_TABLE);
    const [first = ""] = metadataFiles(folder);
    for (const [name, next] of [
      ["v41.metadata.json", "00042-"],
      ["00099-6f1c0c3e-0000-4000-8000-000000000000.metadata.json", "00100-"],
      ["100000-6f1c0c3e-0000-4000-8000-000000000001.gz.metadata.json", "100001-"],
      ["metadata.json", "00000-"],
    ] as const) {
      const metadata = join(folder, "shop/orders/metadata");

      cpSync(join(metadata, first), join(metadata, name));
      sql(folder, `UPDATE iceberg_tables SET metadata_location = 'file:${metadata}/${name}'`);
      const { metadataLocation = "" } = await append(catalog, 1n);
      expect(metadataLocation.split("/").at(-1)?.startsWith(next)).toBe(true);
    }
  });
});

describe("a SQLite catalog that is in trouble", () => {
  it("A file that was removed or replaced while it was open takes no commit that would be lost", async () => {
    const folder = folderInMemory();
    const catalog = await openSqlite(folder);
    const made = await catalog.createTable(ORDERS, NEW_TABLE);
    const other = await openSqlite(join(folder, "other"));
    const theirs = await other.createTable(ORDERS, NEW_TABLE);
    await other.close();
    for (const name of ["catalog.db", "catalog.db-wal", "catalog.db-shm"])
      rmSync(join(folder, name), { force: true });
    renameSync(join(folder, "other/catalog.db"), join(folder, "catalog.db"));
    expect((await loaded(catalog, ORDERS)).metadata["table-uuid"]).toBe(theirs.metadata["table-uuid"]);
    expect((await catalog.commitTable(ORDERS, made, appendTo(made, 1n))).outcome).toBe("conflict");
  });

  it("A file that is no database is an error that names the way out, and stays as it is", async () => {
    const folder = folderInMemory();
    writeFileSync(
      join(folder, "catalog.db"),
      "This is not a database, and is long enough to be read as one.",
    );
    const error = await failure(async () => (await openSqlite(folder)).loadTable(ORDERS));
    expect(error).toMatchObject({ code: "CATALOG_FAILED", retryable: false });
    expect(error.hint).toContain("register_table");
  });

  it("A folder in the place of the file is an error", async () => {
    const folder = folderInMemory();
    mkdirSync(join(folder, "catalog.db"));
    const error = await failure(async () => (await openSqlite(folder)).createTable(ORDERS, NEW_TABLE));
    expect(error.code).toBe("CATALOG_FAILED");
  });

  it("A metadata file that is gone is an error that names it", async () => {
    const folder = folderInMemory();
    const catalog = await openSqlite(folder);
    await catalog.createTable(ORDERS, NEW_TABLE);
    rmSync(join(folder, "shop/orders/metadata"), { recursive: true });
    expect(await failure(() => catalog.loadTable(ORDERS))).toMatchObject({ code: "TABLE_FILE_MISSING" });
  });

  it("Many clients in one thread commit in turns", async () => {
    const folder = folderInMemory();
    const clients = await Promise.all(Array.from({ length: 8 }, () => openSqlite(folder)));
    await clients[0]?.createTable(ORDERS, NEW_TABLE);
    let conflicts = 0;
    await Promise.all(
      clients.map(async (client, number) => {
        for (let at = 0; at < 5; ) {
          const table = await loaded(client, ORDERS);
          const id = BigInt(number * 100 + at + 1);
          const { outcome } = await client.commitTable(ORDERS, table, appendTo(table, id));
          if (outcome === "committed") at++;
          else conflicts++;
        }
      }),
    );
    const { metadata } = await loaded(await openSqlite(folder), ORDERS);
    expect(metadata.snapshots).toHaveLength(40);
    expect(conflicts).toBeGreaterThan(0);
    expect(metadataFiles(folder)).toHaveLength(41);
  });
});

describe("the name of a table", () => {
  it("A name has its parts between dots, and a part with a dot is in quotes", () => {
    const names: readonly (readonly [string, readonly string[]])[] = [
      ["demo.earthquakes", ["demo", "earthquakes"]],
      ["a.b.c", ["a", "b", "c"]],
      ['lake."a.b".orders', ["lake", "a.b", "orders"]],
      ['a."say ""hi"""', ["a", 'say "hi"']],
      ["my lake.zażółć", ["my lake", "zażółć"]],
    ];
    for (const [text, parts] of names) {
      const parsed = parseTableName(text);
      expect([...parsed.namespace, parsed.name]).toEqual(parts);
      expect(parseTableName(tableNameOf(parsed))).toEqual(parsed);
    }
  });

  it("A name without a namespace, or with an empty or unclear part, is refused", async () => {
    for (const text of [
      "orders",
      "",
      ".",
      "a.",
      ".a",
      "a..b",
      'a."b',
      'a.b"c"',
      '"a"b.c',
      " a.b",
      "a.b\n",
      'a.""',
    ])
      expect((await failure(() => parseTableName(text))).code, text).toBe("TABLE_NAME_INVALID");
  });

  it("A name or a warehouse with a character that readers take for another is refused", async () => {
    const folder = folderInMemory();
    const catalog = await openSqlite(folder);
    for (const name of ["50%", "a#b", "a?b", "a/b", "a\\b", "..", "x".repeat(256)])
      expect((await failure(() => catalog.createTable({ ...ORDERS, name }, NEW_TABLE))).code).toBe(
        "TABLE_NAME_INVALID",
      );
    expect(existsSync(join(folder, "catalog.db"))).toBe(false);
    for (const character of ["%", "#", "?"])
      expect((await failure(() => openSqlite(`${folder}/a${character}20b`))).code).toBe(
        "LOCATION_NOT_SUPPORTED",
      );
    const location = `${folder}/100%`;
    expect((await failure(() => catalog.createTable(ORDERS, { ...NEW_TABLE, location }))).code).toBe(
      "LOCATION_NOT_SUPPORTED",
    );
  });
});

describe("a SQLite catalog in a place that takes no folders", () => {
  it("A catalog whose folder cannot be made is an error, and Node does not try for ever", async () => {
    const catalog = await openSqlite("/proc/millrace-nowhere/warehouse");
    const error = await failure(() => catalog.createTable(ORDERS, NEW_TABLE));
    expect(error.code).toBe("CATALOG_FAILED");
    await catalog.close();
  });
});
