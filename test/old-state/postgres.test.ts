import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { PostgresServer } from "../postgres/databases.ts";
import { borrowPostgres } from "../postgres/shared.ts";
import { millrace } from "../support/process.ts";
import { newProject } from "./project.ts";

let server: PostgresServer;
beforeAll(async () => {
  server = await borrowPostgres();
});
afterAll(() => server.stop());

describe("a table of PostgreSQL that an older version wrote", () => {
  it.each(["committed", "planned", "committing", "landed"])(
    "Each row is in a table of PostgreSQL once after a run that found an older version's state %s",
    async (state) => {
      const folder = newProject({ pipeline: "postgres", fixture: `postgres/${state}`, count: 60 });
      onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
      const db = await server.database();
      await db.query(readFileSync(join(folder, "database.sql"), "utf8"));
      const run = ["run", "pipeline.ts", "--home", "home"];
      const { code, stderr } = await millrace(run, db.env, folder);
      expect(code, stderr).toBe(0);
      const rows = await db.query("SELECT n, word FROM numbers ORDER BY n");
      expect(rows).toEqual(Array.from({ length: 60 }, (_, n) => [`${n}`, `number ${n}`]));
    },
  );
});
