import { describe, expect, it, onTestFinished } from "vitest";
import { startMiniStack } from "../iceberg/support/servers.ts";
import { Page } from "../support/page.ts";
import { hasPython } from "../support/python.ts";

const PAGE = new Page("docs/query.md");
/** Events of the kinds cart, purchase and view in the hour that the page reads. */
const KINDS = [735, 367, 2498];

describe.skipIf(!hasPython)("the page on queries", () => {
  it("The commands of the page read the same rows with DuckDB, pandas, Polars and TypeScript", async () => {
    const user = PAGE.folder();
    const [, list = ""] = (await user.run(PAGE.commands())).split("nothing new\n");
    expect(list).toContain("1 file, 3,600 rows");
    expect(list).toMatch(/^\{"content":"data","path":"\/.*\.arrow","format":"arrow",.*"rows":3600,/m);
    const python = await user.run(PAGE.commands("Python"));
    expect(python).toContain(PAGE.outputs("Python")[0]);
    const [pandas = "", polars = ""] = python.slice(python.indexOf("\nkind\n")).split("dtype: int64");
    expect(pandas.match(/\d+$/gm)?.map(Number)).toEqual(KINDS);
    expect([...polars.matchAll(/┆ (\d+) /g)].map((match) => Number(match[1]))).toEqual(KINDS);
    const shell = await user.run(PAGE.commands("On the command line"));
    expect(shell).toMatch(/^1795132800 .*view/m);
    expect(shell).toContain("│   3600 │");
    expect(await user.run(PAGE.commands("TypeScript"))).toBe("367 purchases\n");
    expect(await user.run(PAGE.commands("Into an Iceberg table"))).toContain("│   3600 │");
  });

  it("A table in S3 is read as the page says", async () => {
    const server = await startMiniStack();
    onTestFinished(() => server.stop());
    const url = `http://127.0.0.1:${server.port}`;
    await fetch(`${url}/lake`, { method: "PUT" });
    const local = "pa.memory_map(path)";
    const inS3 = /`(pyarrow\.fs\.S3FileSystem\(\).*?)`/s.exec(PAGE.text)?.[1] ?? "";
    const user = PAGE.folder((code) =>
      code
        .replace("format(ArrowTable);", 'format(ArrowTable)\n  .options({ path: "s3://lake/clicks" });')
        .replace("import pyarrow as pa", "import pyarrow as pa, pyarrow.fs")
        .replace(local, inS3.replace("()", `(endpoint_override="${url}")`)),
    );
    const output = await user.run(
      `export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_REGION=us-east-1 AWS_ENDPOINT_URL_S3=${url}
npx millrace run clicks.ts
python3 clicks.py`,
    );
    expect(output).toContain(PAGE.outputs("Python")[0]);
  });
});
