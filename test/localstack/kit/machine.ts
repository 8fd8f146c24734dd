import { spawnSync } from "node:child_process";
import { existsSync, globSync, readFileSync, realpathSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { run } from "./processes.ts";

/**
 * Finds the tools of the machine that the kit needs. As root on Debian, it installs missing tools.
 */

export interface Tools {
  readonly python: string;
  readonly javaHome: string;
}

/** The error for a tool that the machine lacks and that the kit cannot install. */
export class MissingError extends Error {
  override readonly name: string = "MissingError";
}

/**
 * Flags with which `unshare` creates new network and process namespaces. All their processes end
 * when the first process ends.
 */
export const ISOLATED: readonly string[] = ["--net", "--pid", "--fork", "--kill-child", "--mount-proc"];

/** Checks that LocalStack can run in namespaces for itself. Each run requires this. */
export async function requireIsolation(signal: AbortSignal): Promise<void> {
  if (process.platform !== "linux") throw new MissingError("Linux");
  if (process.getuid?.() !== 0) throw new MissingError("root, to put LocalStack into a network of its own");
  await find("util-linux (unshare)", ["util-linux"], () => onPath("unshare"), signal);
  await find("iproute2 (ip)", ["iproute2"], () => onPath("ip"), signal);
  if ((await run("unshare", [...ISOLATED, "true"], { signal, isQuiet: true })) !== 0) {
    throw new MissingError("the right to make namespaces (in a container: CAP_SYS_ADMIN)");
  }
}

/** Finds or installs the tools that only the installation needs. */
export async function requireTools(signal: AbortSignal): Promise<Tools> {
  const python = await find(
    "Python 3.13 with venv (python3.13 or one of pyenv)",
    ["python3.13", "python3.13-venv"],
    findPython,
    signal,
  );
  const javaHome = await find("a JDK, 17 or newer", ["default-jdk-headless"], findJavaHome, signal);
  await find("Maven (mvn)", ["maven"], () => onPath("mvn"), signal);
  return { python, javaHome };
}

async function find(
  what: string,
  debianPackages: readonly string[],
  look: () => string | undefined,
  signal: AbortSignal,
): Promise<string> {
  const found = look() ?? ((await aptInstall(debianPackages, signal)) ? look() : undefined);
  if (found === undefined) throw new MissingError(what);
  return found;
}

let wasUpdated = false;

async function aptInstall(packages: readonly string[], signal: AbortSignal): Promise<boolean> {
  if (process.getuid?.() !== 0 || onPath("apt-get") === undefined) return false;
  console.error(`localstack: installing ${packages.join(", ")}`);
  if (!wasUpdated && (await run("apt-get", ["update", "-qq"], { signal })) !== 0) return false;
  wasUpdated = true;
  const flags = ["-y", "-qq", "--no-install-recommends"];
  const env = ["DEBIAN_FRONTEND=noninteractive"];
  return (await run("env", [...env, "apt-get", "install", ...flags, ...packages], { signal })) === 0;
}

function findPython(): string | undefined {
  const pyenv = process.env["PYENV_ROOT"] ?? join(homedir(), ".pyenv");
  // The command `python3.13` may be a shim of pyenv that refuses to run.
  const candidates = ["python3.13", ...globSync(join(pyenv, "versions/3.13*/bin/python"))];
  const check = "import sys, venv, ensurepip; assert sys.version_info[:2] == (3, 13)";
  return candidates.find((python) => spawnSync(python, ["-c", check], { stdio: "ignore" }).status === 0);
}

/** Returns the home of a JDK. A Java runtime without a compiler is not enough. */
function findJavaHome(): string | undefined {
  const given = process.env["JAVA_HOME"];
  const compiler = given ? join(given, "bin/javac") : onPath("javac");
  if (compiler === undefined || !existsSync(compiler)) return undefined;
  const home = dirname(dirname(realpathSync(compiler)));
  const version = /^JAVA_VERSION="(\d+)/m.exec(readFileSync(join(home, "release"), "utf8"))?.[1];
  return Number(version) >= 17 ? home : undefined;
}

function onPath(command: string): string | undefined {
  return (process.env["PATH"] ?? "")
    .split(delimiter)
    .map((folder) => join(folder, command))
    .find((path) => existsSync(path));
}
