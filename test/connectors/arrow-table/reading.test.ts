import { describe, expect, it } from "vitest";
import { ArrowTable } from "../../../shared/connectors/arrow-table/index.ts";
import { DataSourceReader } from "../../../shared/contract/batch-reader.ts";
import { DataSource } from "../../../shared/contract/data-source.ts";
import { pipeline } from "../../../shared/contract/pipeline.ts";
import { checkSource, runPipeline } from "../../../shared/testing/index.ts";
import { temporaryFolder } from "../../support/folder.ts";

describe("an Arrow table that is read", () => {
  it("A reader of an Arrow table has the schema and rows of its newest version, one partition per data file", async () => {
    const folder = temporaryFolder();
    class Numbers extends DataSource {
      override schema() {
        return "`n n` int NOT NULL, at timestamp";
      }
      override reader() {
        return new (class extends DataSourceReader<number> {
          override partitions() {
            return [1, 2];
          }
          override *read(n: number) {
            yield [n, "2026-11-21T00:00:00.000001Z"];
          }
        })();
      }
    }
    const options = { path: folder };
    const write = pipeline("write").read.format(Numbers).write.format(ArrowTable).options(options);
    await runPipeline(write.mode("append"));
    await runPipeline(write.mode("overwrite"));
    const copy = pipeline("copy")
      .read.format(ArrowTable)
      .options(options)
      .write.format(ArrowTable)
      .mode("append");
    const { rows, batches } = await runPipeline(copy);
    expect(rows).toEqual([1, 2].map((n) => ({ "n n": n, at: "2026-11-21T00:00:00.000001Z" })));
    expect(batches[0]?.partitions).toBe(1);
    await checkSource(ArrowTable, { options });
  });

  it("The error names an Arrow table that does not exist, or says that no folder was given", async () => {
    const copy = (path?: string) =>
      runPipeline(
        pipeline("copy")
          .read.format(ArrowTable)
          .options(path === undefined ? {} : { path })
          .write.format(ArrowTable),
      );
    await expect(copy(temporaryFolder())).rejects.toMatchObject({ code: "TABLE_NOT_FOUND" });
    await expect(copy()).rejects.toMatchObject({ code: "OPTIONS_INVALID" });
  });
});
