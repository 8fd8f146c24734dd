import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { adviceFor, systemCodeOf, systemCodeOfSqlite } from "../../../shared/platform/embedded/advice.ts";
import { ledgerError } from "../../../shared/platform/embedded/sqlite-connection.ts";
import { temporaryFolder } from "../../support/folder.ts";

const system = (code: string) =>
  Object.assign(new Error(`${code}: told by the system`), { code, syscall: "open" });
const sqlite = (errcode: number, message: string) => Object.assign(new Error(message), { errcode });

describe("advice about errors of the system", () => {
  it.each<[string, unknown, RegExp]>([
    ["a full disk", sqlite(13, "database or disk is full"), /disk is full/],
    ["no memory", sqlite(7, "out of memory"), /memory/],
    ["a damaged page", sqlite(11, "database disk image is malformed"), /from a backup/],
    ["a damaged index", sqlite(11 + 256 * 3, "malformed"), /from a backup/],
    ["a file of something else", sqlite(26, "file is not a database"), /from a backup/],
    ["another writer", sqlite(5, "database is locked"), /[Aa]nother process/],
    ["a missing table", sqlite(1, "no such table: heads"), /from a backup/],
    ["a row that is no JSON", new SyntaxError("Unexpected token"), /from a backup/],
    ["too many open files", system("EMFILE"), /`ulimit -n/],
    ["a read-only file system", system("EROFS"), /read-only/],
    ["something that nobody knows", sqlite(20, "datatype mismatch"), /cause is not known/],
  ])("The ledger's hint fits %s", (_, cause, hint) => {
    const error = ledgerError(cause, join(temporaryFolder(), "ledger.sqlite"));
    expect(error).toMatchObject({ hint: expect.stringMatching(hint) });
  });

  it("Advice about free space is only given if there is none", () => {
    for (const code of ["EACCES", "EMFILE", "EIO", "EROFS", undefined, "EUNHEARDOF"])
      expect(adviceFor(code).hint).not.toContain("space");
    expect(adviceFor("ENOSPC").hint).toContain("space");
    expect(adviceFor("EUNHEARDOF").hint).toContain("not known");
  });

  it("The system error is found below the errors that it caused", () => {
    expect(systemCodeOf(new Error("a", { cause: new Error("b", { cause: system("ENOSPC") }) }))).toBe(
      "ENOSPC",
    );
    expect(systemCodeOf(Object.assign(new Error("x"), { code: "ERR_MODULE_NOT_FOUND" }))).toBeUndefined();
  });

  it("A file that SQLite cannot open is tried again to learn why", () => {
    const path = join(temporaryFolder(), "missing/ledger.sqlite");
    expect(systemCodeOfSqlite(sqlite(14, "unable to open database file"), path)).toBe("ENOENT");
  });
});
