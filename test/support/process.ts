import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { PACKAGE } from "./package.ts";

const COMMAND = join(PACKAGE, "bin/millrace.mjs");
/** Node keeps compiled modules here, so that the many short processes start faster. */
const COMPILE_CACHE = join(PACKAGE, "../compile-cache");
export const EARTHQUAKES: string = join(PACKAGE, "examples/earthquakes/pipeline.ts");

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly process: ChildProcess;
  /** Returns all text that the process has written to stderr. */
  readonly stderr: () => string;
  readonly ended: Promise<Ended>;
}

/** Starts the built `millrace` command in a process group for itself. */
export function startMillrace(
  args: readonly string[],
  env: Record<string, string> = {},
  cwd: string = PACKAGE,
): Running {
  const all = {
    ...(process.env as Record<string, string>),
    NO_COLOR: "1",
    NODE_COMPILE_CACHE: COMPILE_CACHE,
    ...env,
  };
  return startProgram(process.execPath, [COMMAND, ...args], all, cwd);
}

/** Starts a program with this environment, and no other, in a process group for itself. */
export function startProgram(
  program: string,
  args: readonly string[],
  env: Record<string, string>,
  cwd: string,
): Running {
  const child = spawn(program, args, {
    cwd,
    env,
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, stdout, stderr }));
  });
  return { process: child, stderr: () => stderr, ended };
}

/** Runs the built `millrace` command to its end. */
export async function millrace(
  args: readonly string[],
  env: Record<string, string> = {},
  cwd?: string,
): Promise<Ended> {
  return await startMillrace(args, env, cwd).ended;
}

/** Kills a process and all of its children at once. */
export function killTree(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // The process has already ended.
  }
}

/** Returns the files below a folder, as sorted relative paths. */
export function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
}
