import { existsSync } from "node:fs";
import { join } from "node:path";
import { Home, openStore } from "../../local/home.ts";
import { rowsOf } from "../../shared/arrow/rows.ts";
import { readTable } from "../../shared/connectors/arrow-table/read.ts";
import { MillraceError } from "../../shared/contract/errors.ts";
import { formatTable } from "../render/text.ts";

/** `millrace cat`: rows of an Arrow table, in the order of its commits. `table` is its folder, or the name of a pipeline here. */
export async function catCommand(
  table: string,
  flags: { readonly home: string; readonly limit?: number; readonly json?: boolean },
): Promise<void> {
  let left = flags.limit ?? Number.POSITIVE_INFINITY;
  for await (const batch of readTable(openStore(locate(table, flags.home)))) {
    if (left <= 0) break;
    const rows = rowsOf(left < batch.numRows ? batch.slice(0, left) : batch);
    left -= batch.numRows;
    if (flags.json) await writeAll(Iterator.from(rows).map((row) => JSON.stringify(row)));
    else {
      const cells = [...rows].map((row) => Object.values(row).map(cellOf));
      await writeAll([
        formatTable(
          batch.schema.fields.map((field) => field.name),
          cells,
        ),
      ]);
    }
  }
}

function locate(table: string, home: string): string {
  const own = join(new Home(home).pipelineFolder(table), "table");
  for (const folder of [own, table]) if (existsSync(join(folder, "_log"))) return folder;
  throw new MillraceError(
    "TABLE_NOT_FOUND",
    `there is no table at ${table}, and no pipeline of that name has one in ${home}`,
    {
      hint: "Name the table's folder, the one that holds _log, or a pipeline that has committed a batch.",
    },
  );
}

async function writeAll(lines: Iterable<string>): Promise<void> {
  for (const line of lines) {
    if (!process.stdout.write(`${line}\n`))
      await new Promise((resolve) => process.stdout.once("drain", resolve));
  }
}

function cellOf(value: unknown): string {
  if (value === null) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
