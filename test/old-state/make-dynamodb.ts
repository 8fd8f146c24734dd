import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { itemsOf, newTables } from "./dynamodb.ts";
import { newProject } from "./project.ts";
import { STATES } from "./states.ts";

/**
 * `node test/old-state/make-dynamodb.ts FOLDER`: writes the state of the current version in
 * DynamoDB below FOLDER. Needs `AWS_ENDPOINT_URL`. See test/fixtures/old-state/README.md.
 */
for (const [i, name] of (["committed", "planned", "committing", "landed"] as const).entries()) {
  const folder = newProject({ pipeline: "dynamodb", count: 40 });
  const tables = await newTables(folder, `d${i}000000`);
  await STATES[name](tables.place);
  const target = resolve(process.argv[2] ?? "", "dynamodb", name);
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  cpSync(join(folder, "store"), join(target, "store"), { recursive: true });
  for (const part of ["ledger", "sink"] as const) {
    const lines = (await itemsOf(tables[part])).map((item) => `${JSON.stringify(item)}\n`);
    writeFileSync(join(target, `${part}.jsonl`), lines.join(""));
  }
  rmSync(folder, { recursive: true });
}
