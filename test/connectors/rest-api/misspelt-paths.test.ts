import { describe, expect, it } from "vitest";
import { listError, records } from "./reading-list.ts";

describe("paths that are misspelt", () => {
  it("A misspelt path to the cursor is an error that has the right one, whatever ends the list", async () => {
    const json = { data: records(0, 10), next_cursor: "c2" };
    const pagination = { type: "cursor", cursorPath: "nextCursor", endOn: "missing" } as const;
    const { error } = await listError(() => ({ json }), { rows: "data", pagination });
    expect(error).toMatchObject({
      code: "LIST_END_UNCLEAR",
      hint: 'Set cursorPath: ["next_cursor"] in pagination.',
    });
  });

  it("A missing cursor is not called the end of the list if the answer tells of more rows", async () => {
    const json = { data: records(0, 10), has_more: true, after: "c2" };
    const pagination = { type: "cursor", cursorPath: "cursor" } as const;
    const { error } = await listError(() => ({ json }), { rows: "data", pagination });
    expect(error).toMatchObject({
      code: "LIST_END_UNCLEAR",
      hint: 'Correct cursorPath: the answer has "has_more", which tells of more rows.',
    });
  });

  it('A misspelt path to the rows is an error also with missingRows: "empty"', async () => {
    const json = { line_items: records(0, 10) };
    const { error } = await listError(() => ({ json }), {
      rows: "lineItems",
      missingRows: "empty",
      pagination: { type: "none" },
    });
    expect(error).toMatchObject({
      code: "ROWS_NOT_FOUND",
      hint: 'Set the option rows to the path of the array, such as ["line_items"].',
    });
  });
});
