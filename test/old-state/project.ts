import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { PACKAGE } from "../support/package.ts";
import { ROOT } from "../support/root.ts";

/** The fixtures: state that an older version wrote. */
export const FIXTURES: string = join(ROOT, "test/fixtures/old-state");

/** The time at which the state was written, in epoch milliseconds. */
export const WRITTEN_AT: number = Date.UTC(2026, 10, 21);

/** Stands for the project's folder in files of a fixture. */
const PROJECT = "@PROJECT@";

/** The state that a project begins with. */
export interface State {
  /** Name of the pipeline's file, without `.ts`. */
  readonly pipeline: string;
  /** Name of the folder with the state. A project without it is new. */
  readonly fixture?: string;
  /** Number of rows that the source has. */
  readonly count: number;
}

/**
 * Creates a project folder with the pipelines, in which `millrace` resolves to the build of the
 * tests. Copies the state of the fixture into it. The caller removes the folder.
 */
export function newProject({ pipeline, fixture, count }: State): string {
  const folder = mkdtempSync(join(tmpdir(), "millrace-old-"));
  cpSync(join(FIXTURES, "pipelines"), folder, { recursive: true });
  cpSync(join(folder, `${pipeline}.ts`), join(folder, "pipeline.ts"));
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }\n');
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(PACKAGE, join(folder, "node_modules/millrace"));
  if (fixture !== undefined) copyState(join(FIXTURES, fixture), folder);
  writeFileSync(join(folder, "count"), `${count}\n`);
  return folder;
}

function copyState(fixture: string, folder: string): void {
  cpSync(fixture, folder, { recursive: true });
  if (!existsSync(join(folder, "home"))) return;
  rename(folder, PROJECT, folder);
  const by = Date.now() - 3_600_000 - WRITTEN_AT;
  // A batch must not be open for more than 90 days.
  changeLedger(folder, [
    `UPDATE heads SET last_planned_at = last_planned_at + ${by}`,
    `UPDATE batches SET planned_at = planned_at + ${by}, first_planned_at = first_planned_at + ${by}`,
    `UPDATE tasks SET recorded_at = recorded_at + ${by}`,
  ]);
}

/** Replaces the path of the project in its state, so that other folders can have the state. */
export function forgetPath(folder: string, path: string): void {
  rename(folder, path, PROJECT);
}

function rename(folder: string, from: string, to: string): void {
  const entry = join(folder, "home/old/pipeline.json");
  writeFileSync(entry, readFileSync(entry, "utf8").replace(from, to));
  changeLedger(folder, [
    `UPDATE heads SET last_commit = replace(last_commit, '${from}', '${to}')`,
    `UPDATE tasks SET task = replace(task, '${from}', '${to}')`,
    "VACUUM",
  ]);
}

function changeLedger(folder: string, statements: readonly string[]): void {
  const database = new DatabaseSync(join(folder, "home/ledger.sqlite"));
  for (const statement of statements) database.exec(statement);
  database.close();
}
