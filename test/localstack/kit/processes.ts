import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

/** Runs Linux processes, and finds the descendants of a process. */

const PAGE = 4096;

/**
 * Runs a command to its end and returns its exit code. Prints the output if the command fails. If
 * the signal aborts, ends the command and its process group.
 */
export async function run(
  command: string,
  args: readonly string[],
  options: { readonly signal: AbortSignal; readonly isQuiet?: boolean },
): Promise<number> {
  options.signal.throwIfAborted();
  const child = spawn(command, args, {
    stdio: ["ignore", "pipe", "pipe"],
    detached: true, // The command gets its own process group, so that its children end with it.
  });
  const end = () => {
    if (child.pid !== undefined) signalProcess(-child.pid, "SIGTERM");
  };
  options.signal.addEventListener("abort", end);
  const printed: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Buffer) => printed.push(chunk));
  const code = await exitCode(child);
  options.signal.removeEventListener("abort", end);
  options.signal.throwIfAborted();
  if (code !== 0 && !options.isQuiet) process.stderr.write(Buffer.concat(printed));
  return code;
}

/**
 * Returns the exit code in the form of a shell: 127 for a missing command, and 128 plus the
 * signal's number for a signal.
 */
export async function exitCode(child: ChildProcess): Promise<number> {
  return await new Promise<number>((resolve) => {
    child.once("error", () => resolve(127));
    child.once("close", (code) => resolve(code ?? 128));
  });
}

export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // The process has already ended.
  }
}

/** Returns the ids of a process and of its descendants. */
export function family(ancestor: number): number[] {
  const children = Map.groupBy(processIds(), parentOf);
  const found = [ancestor];
  for (const pid of found) found.push(...(children.get(pid) ?? []));
  return found;
}

/** Returns the bytes of memory of the processes. A shared page counts once for each process. */
export function residentBytes(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + Number(readProcess(pid, "statm").split(" ")[1] ?? 0) * PAGE, 0);
}

function processIds(): number[] {
  return readdirSync("/proc").map(Number).filter(Number.isInteger);
}

function parentOf(pid: number): number {
  // In `stat`, the state and the parent follow the name of the program. The name is in parentheses
  // and may contain any character.
  return Number(readProcess(pid, "stat").split(") ").at(-1)?.split(" ")[1] ?? 0);
}

/** Returns the text of a file in /proc, or an empty text if the process has ended. */
function readProcess(pid: number, file: "stat" | "statm"): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}
