import { execFileSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout } from "node:timers/promises";
import { expect } from "vitest";
import { temporaryFolder } from "../support/folder.ts";
import { PACKAGE } from "../support/package.ts";
import { type Ended, killTree, millrace, type Running, startMillrace } from "../support/process.ts";

/** A command that an error names in backquotes. */
const NAMED = /`millrace ((?:adopt|skip|accept|forget|rewind|replay|unlock) [^`]*)`/;
const MOST_STEPS = 6;

/** A project folder with the pipeline `recover`, whose home is `.millrace`. */
export class Project {
  readonly folder: string;
  readonly env: Record<string, string>;

  constructor(env: Record<string, string> = {}) {
    this.folder = join(temporaryFolder(), "project");
    mkdirSync(join(this.folder, "node_modules"), { recursive: true });
    this.env = { PROJECT: this.folder, ...env };
    symlinkSync(PACKAGE, join(this.folder, "node_modules/millrace"));
    this.write("package.json", '{ "type": "module" }\n');
    cpSync(join(PACKAGE, "test/e2e/pipelines/recover.ts"), this.path("pipeline.ts"));
  }

  /** The folder of the table, relative to the project. */
  get table(): string {
    return this.env["TABLE"] ?? ".millrace/recover/table";
  }

  path(file: string): string {
    return join(this.folder, file);
  }

  write(file: string, content: string): void {
    writeFileSync(this.path(file), content);
  }

  read(file: string): string {
    return existsSync(this.path(file)) ? readFileSync(this.path(file), "utf8") : "";
  }

  remove(file: string): void {
    rmSync(this.path(file), { recursive: true, force: true });
  }

  /** Puts a copy of a file or a folder in the place of another. */
  copy(from: string, to: string): void {
    this.remove(to);
    cpSync(this.path(from), this.path(to), { recursive: true });
  }

  async millrace(
    args: readonly string[],
    env: Record<string, string> = {},
    cwd = this.folder,
  ): Promise<Ended> {
    return await millrace(args, { ...this.env, ...env }, cwd);
  }

  async run(...args: string[]): Promise<Ended> {
    return await this.millrace(["run", "pipeline.ts", ...args]);
  }

  /** Runs until the source has this many rows in the table. */
  async runTo(count: number): Promise<void> {
    this.write("count", String(count));
    const { code, stderr } = await this.run();
    expect(code, stderr).toBe(0);
  }

  /** Returns the object that a command prints with `--json`. */
  async json(...args: string[]): Promise<Record<string, unknown>> {
    const { code, stdout, stderr } = await this.millrace([...args, "--json"]);
    expect(code, stderr).toBe(0);
    return JSON.parse(stdout) as Record<string, unknown>;
  }

  /** The rows of the table, sorted. */
  async rows(table = this.env["TABLE"] === undefined ? "recover" : `./${this.table}`): Promise<number[]> {
    const { code, stdout, stderr } = await this.millrace(["cat", table, "--json", "--limit", "1000"]);
    expect(code, stderr).toBe(0);
    const lines = stdout.split("\n").filter((line) => line !== "");
    return lines.map((line) => (JSON.parse(line) as { n: number }).n).sort((a, b) => a - b);
  }

  /**
   * Starts a run of the batch up to `count`, and returns when the first of its two tasks is
   * recorded. The second does not end.
   */
  async startHalfway(count: number): Promise<Running> {
    this.write("count", String(count));
    const args = ["run", "pipeline.ts", "--max-concurrency", "1"];
    const running = startMillrace(args, { ...this.env, HANG: "1" }, this.folder);
    for (let i = 0; i < 1000 && this.#recordedTasks() === 0; i++) await setTimeout(20);
    return running;
  }

  /** Kills a run when it has written half of the batch up to `count`. */
  async killHalfway(count: number): Promise<void> {
    const running = await this.startHalfway(count);
    killTree(running.process);
    await running.ended;
  }

  /** Number of recorded tasks of the open batch. */
  #recordedTasks(): number {
    // The run may not have made its tables yet.
    if (this.sql("SELECT * FROM sqlite_schema WHERE name = 'tasks'").length === 0) return 0;
    return this.sql("SELECT * FROM tasks WHERE batch_id IN (SELECT open_batch_id FROM heads)").length;
  }

  /** Reads or changes the ledger. */
  sql(statement: string): readonly unknown[] {
    if (!existsSync(this.path(".millrace/ledger.sqlite"))) return [];
    const database = new DatabaseSync(this.path(".millrace/ledger.sqlite"), { timeout: 5000 });
    try {
      return database.prepare(statement).all();
    } finally {
      database.close();
    }
  }

  /** Keeps a copy of the ledger with its journal of writes. */
  keepLedger(as: string): void {
    mkdirSync(this.path(as), { recursive: true });
    for (const file of this.#ledgerFiles()) this.copy(`.millrace/${file}`, `${as}/${file}`);
  }

  /** Restores the ledger, or removes it. */
  restoreLedger(from?: string): void {
    for (const file of this.#ledgerFiles()) this.remove(`.millrace/${file}`);
    if (from === undefined) return;
    for (const file of readdirSync(this.path(from))) this.copy(`${from}/${file}`, `.millrace/${file}`);
  }

  #ledgerFiles(): string[] {
    return readdirSync(this.path(".millrace")).filter((file) => file.startsWith("ledger.sqlite"));
  }

  /**
   * Runs until a run succeeds. After each failure it does only what the error says: the first
   * command that it names. Returns the codes of the errors and the names of the commands, in order.
   */
  async settle(...args: string[]): Promise<string[]> {
    const steps: string[] = [];
    for (;;) {
      const { code, stderr } = await this.millrace(["run", ...(args.length === 0 ? ["pipeline.ts"] : args)]);
      if (code === 0) return steps;
      await this.#follow(stderr, steps);
    }
  }

  async #follow(stderr: string, steps: string[]): Promise<void> {
    const code = /^error (\w+):/m.exec(stderr)?.[1] ?? stderr;
    const [, command] = NAMED.exec(stderr) ?? [];
    if (command === undefined || steps.length >= MOST_STEPS)
      throw new Error(`${steps.join(", ")}: no way out of ${stderr}`);
    const move = /`(mv [^`]*)`/.exec(stderr)?.[1];
    if (move !== undefined) execFileSync("sh", ["-c", move], { cwd: this.folder });
    const words = command.match(/'[^']*'|\S+/g) ?? [];
    const args = words.map((word) => word.replace(/^'(.*)'$/, "$1").replace("PIPELINE", "recover"));
    steps.push(code, args[0] ?? "");
    const ended = await this.millrace([...args, ...(args[0] === "replay" ? [] : ["--yes"])]);
    if (ended.code !== 0) await this.#follow(ended.stderr, steps);
  }
}
