import { folderInMemory } from "../../../support/folder.ts";
import { catalogSuite } from "./catalog-suite.ts";
import { openSqlite } from "./sqlite-desk.ts";

catalogSuite("SQLite", async () => {
  const folder = folderInMemory();
  return { open: async () => await openSqlite(folder), dots: "TABLE_NAME_INVALID" };
});
