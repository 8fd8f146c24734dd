import { describe, expect, it } from "vitest";
import { temporaryFolder } from "../../support/folder.ts";
import { failure, source } from "./folder-of-files.ts";

describe("a file without a schema", () => {
  it.each(["csv", "jsonl", "arrow", "parquet"] as const)(
    "A source of files without a schema needs one from the pipeline: %s",
    async (format) => {
      const error = await failure(
        (async () => (await source({ path: temporaryFolder(), format })).schema())(),
      );
      expect(error).toMatchObject({ code: "SCHEMA_REQUIRED", hint: expect.stringContaining(".schema(") });
    },
  );
});
