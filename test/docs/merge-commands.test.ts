import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, it } from "vitest";
import { Memory, MemoryStream, memoryTable } from "../../shared/connectors/memory/index.ts";
import { type Pipeline, pipeline } from "../../shared/contract/pipeline.ts";
import { runPipeline } from "../../shared/testing/index.ts";
import { temporaryFolder } from "../support/folder.ts";
import { ROOT } from "../support/root.ts";

const SOURCES: Readonly<Record<string, string>> = {
  millrace: "shared/index.ts",
  "millrace/connectors/memory": "shared/connectors/memory/index.ts",
  "millrace/write": "shared/contract/write/index.ts",
};
const DDL = "item string NOT NULL, amount int, price decimal(10,2)";

it("The commands of docs/merge-commands.md leave the rows that the page says", async () => {
  const page = readFileSync(join(ROOT, "docs/merge-commands.md"), "utf8");
  const [, name = "", code = ""] = /```ts\n\/\/ (\S+)\n([\s\S]*?)```/.exec(page) ?? [];
  const file = join(temporaryFolder(), name);
  const imported = code.replace(/"(millrace[\w/]*)"/g, (_, entry: string) =>
    JSON.stringify(pathToFileURL(join(ROOT, SOURCES[entry] ?? entry)).href),
  );
  writeFileSync(file, imported);
  const commands = (await import(file)) as Record<"removed" | "refilled" | "delivered", Pipeline>;
  new MemoryStream("stock-before", DDL).addData([
    { item: "nails", amount: 100, price: "0.10" },
    { item: "hammer", amount: 3, price: "20.00" },
    { item: "saw", amount: null, price: null },
  ]);
  const before = pipeline("stock-before").read.format(Memory).options({ stream: "stock-before" });
  await runPipeline(before.write.format(Memory).options({ table: "stock" }).mode("append"));
  new MemoryStream("delivery", DDL).addData([
    { item: "hammer", amount: 2, price: "19.00" },
    { item: "glue", amount: 9, price: "4.50" },
  ]);
  for (const command of [commands.removed, commands.refilled, commands.delivered]) await runPipeline(command);
  expect(memoryTable("stock").rows()).toEqual([
    { item: "hammer", amount: 10, price: "19.00" },
    { item: "saw", amount: 0, price: null },
    { item: "glue", amount: 9, price: "4.50" },
  ]);
});
