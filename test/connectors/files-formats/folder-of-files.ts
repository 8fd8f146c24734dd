import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Schema } from "apache-arrow";
import { rowsOf } from "../../../shared/arrow/rows.ts";
import { Files, type FilesOptions } from "../../../shared/connectors/files/index.ts";
import type { TaskContext } from "../../../shared/contract/context.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import type { MillraceError } from "../../../shared/contract/errors.ts";
import { parseOptions } from "../../../shared/contract/options/parse.ts";
import { temporaryFolder } from "../../support/folder.ts";
import { withStores } from "../../support/runtime.ts";

const task = { signal: new AbortController().signal } as TaskContext;

/** Creates a folder with these files. */
export function folderOf(files: Readonly<Record<string, string | Uint8Array>>): string {
  const folder = temporaryFolder();
  for (const [name, body] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), body);
  }
  return folder;
}

export async function source(options: FilesOptions): Promise<Files> {
  const runtime = {
    now: Date.now,
    monotonic: Date.now,
    random: () => 0.5,
    newId: () => "id",
    sleep: async () => undefined,
    env: {},
  };
  return new Files(await parseOptions(Files, { ...options }), withStores(runtime));
}

/** Returns the rows of all files, read as one batch. */
export async function rowsIn(
  options: FilesOptions,
  schema: Schema | string,
): Promise<Record<string, unknown>[]> {
  const reader = (await source(options)).reader(typeof schema === "string" ? parseDdl(schema) : schema);
  const rows: Record<string, unknown>[] = [];
  for (const partition of await reader.partitions()) {
    for await (const batch of (await reader.read(partition, task)) as AsyncIterable<never>)
      rows.push(...rowsOf(batch));
  }
  return rows;
}

export async function failure(body: Promise<unknown>): Promise<MillraceError> {
  return (await body.then(
    () => undefined,
    (error: unknown) => error,
  )) as MillraceError;
}
