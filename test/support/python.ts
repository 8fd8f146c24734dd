import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { PYTHON } from "../../scripts/setup-python.ts";

/**
 * True if `scripts/setup-python.ts` has created the Python environment. If that failed, the script
 * has printed why.
 */
export const hasPython: boolean = existsSync(PYTHON);

/** Runs Python code in the tests' environment and parses its output as JSON. */
export function runPython<T>(code: string, args: readonly string[] = []): T {
  const { status, stdout, stderr } = spawnSync(PYTHON, ["-c", code, ...args], {
    encoding: "utf8",
    maxBuffer: 2 ** 28,
  });
  if (status !== 0) throw new Error(`Python ended with ${status}: ${stderr}`);
  return JSON.parse(stdout) as T;
}

/** Returns the Python code of the reader in docs/arrow-table.md. */
export function documentedReader(): string {
  const page = readFileSync(new URL("../../docs/arrow-table.md", import.meta.url), "utf8");
  const code = /```python\n([\s\S]*?)```/.exec(page)?.[1];
  if (code === undefined) throw new Error("docs/arrow-table.md has no Python code");
  return code;
}

export interface TableSummary {
  readonly rows: number;
  readonly ids: number;
  readonly types: Readonly<Record<string, string>>;
  readonly first: string;
  readonly last: string;
}

/** Reads a table with pyarrow. Returns the rows, distinct ids, column types and range of `time`. */
export function summarize(table: string): TableSummary {
  return runPython<TableSummary>(
    `${documentedReader()}
import sys, pyarrow.compute as pc
t = read_table(sys.argv[1])
print(json.dumps({
  "rows": t.num_rows, "ids": len(pc.unique(t["id"])), "types": {f.name: str(f.type) for f in t.schema},
  "first": str(pc.min(t["time"]).as_py()), "last": str(pc.max(t["time"]).as_py()) }))`,
    [table],
  );
}
