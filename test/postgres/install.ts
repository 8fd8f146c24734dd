import { spawnSync } from "node:child_process";
import { existsSync, globSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * Finds the programs of a PostgreSQL server, or downloads Debian's packages and unpacks them below
 * .cache/postgres. Installs nothing on the machine and does not need root.
 */

const HOME = fileURLToPath(new URL("../../.cache/postgres", import.meta.url));
/** The folder of the unpacked packages of Debian. */
const ROOT = join(HOME, "root");
const NEEDED = ["initdb", "postgres"];

export interface Programs {
  /** Folder of `initdb` and `postgres`. */
  readonly bin: string;
  /**
   * The folder to copy if the user of the server cannot read the programs; `undefined` if they
   * belong to the machine.
   */
  readonly root: string | undefined;
}

/**
 * Returns environment variables with which the programs find the shared libraries of their
 * packages.
 */
export function librariesOf(root: string | undefined): Record<string, string> {
  return root === undefined
    ? {}
    : { LD_LIBRARY_PATH: globSync(join(root, "{usr/lib,lib}/*-linux-*")).join(delimiter) };
}

/**
 * Returns the programs of a server. With `bring`, uses Debian's packages even if the machine has
 * PostgreSQL.
 */
export function installPostgres(bring = false): Programs {
  const found = unpacked() ?? (bring ? undefined : ofTheMachine());
  if (found !== undefined) return found;
  unpackDebian();
  const brought = unpacked();
  if (brought === undefined) throw new Error(`Debian's packages left no PostgreSQL in ${ROOT}`);
  return brought;
}

function unpacked(): Programs | undefined {
  const [bin] = globSync(join(ROOT, "usr/lib/postgresql/*/bin"));
  return bin === undefined ? undefined : { bin, root: ROOT };
}

function ofTheMachine(): Programs | undefined {
  const folders = [
    ...globSync("/usr/lib/postgresql/*/bin").sort().reverse(),
    ...(process.env["PATH"] ?? "").split(delimiter),
  ];
  const bin = folders.find((folder) => NEEDED.every((name) => existsSync(join(folder, name))));
  return bin === undefined ? undefined : { bin, root: undefined };
}

/**
 * Downloads and unpacks Debian's packages. Unpacks into a new folder and renames it at the end,
 * because two processes may do this at once.
 */
function unpackDebian(): void {
  mkdirSync(HOME, { recursive: true });
  const folder = mkdtempSync(join(HOME, "unpack-"));
  try {
    const apt = aptBelow(join(folder, "apt"));
    run("apt-get", [...apt, "update", "-qq"]);
    const server = /Depends: (postgresql-\d+)/.exec(run("apt-cache", [...apt, "depends", "postgresql"]))?.[1];
    if (server === undefined) throw new Error("apt knows no package postgresql");
    const packages = join(folder, "packages");
    mkdirSync(packages);
    run("apt-get", [...apt, "download", "-qq", ...missingPackages(apt, server)], packages);
    const root = join(folder, "root");
    for (const name of readdirSync(packages)) run("dpkg-deb", ["--extract", join(packages, name), root]);
    const [postgres = ""] = globSync(join(root, "usr/lib/postgresql/*/bin/postgres"));
    run(postgres, ["--version"], dirname(postgres), librariesOf(root));
    try {
      renameSync(root, ROOT);
    } catch (error) {
      if (unpacked() === undefined) throw error; // Another process was faster.
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Returns arguments that give apt separate lists and locks, so that it does not need root. apt
 * still knows which packages the machine has.
 */
function aptBelow(folder: string): string[] {
  mkdirSync(join(folder, "lists/partial"), { recursive: true });
  mkdirSync(join(folder, "cache/archives/partial"), { recursive: true });
  const options = {
    "Dir::State::lists": join(folder, "lists"),
    "Dir::Cache": join(folder, "cache"),
    "Debug::NoLocking": "true",
    "APT::Sandbox::User": "",
    "Acquire::Languages": "none",
    "Acquire::Retries": "3",
  };
  return Object.entries(options).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
}

/**
 * Returns the packages of the server, and of the libraries that the machine lacks. LLVM is left
 * out, because it is half of the size and only the compiler of queries needs it, which is switched
 * off.
 */
function missingPackages(apt: readonly string[], server: string): string[] {
  const flags = ["--print-uris", "--reinstall", "-y", "-qq", "--no-install-recommends"];
  const uris = run("apt-get", [...apt, "install", ...flags, server]);
  const names = [...uris.matchAll(/^'[^']*' ([^_\s]+)_/gm)].map((match) => match[1] ?? "");
  return names.filter((name) => name === server || /^(zlib1g|lib(?!llvm))/.test(name));
}

function run(
  command: string,
  args: readonly string[],
  cwd?: string,
  env: Record<string, string> = {},
): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    encoding: "utf8",
    cwd,
    env: { ...process.env, ...env, LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  if (status === 0) return stdout;
  throw new Error(
    `the tests of the postgres connector need a PostgreSQL server, or apt-get and dpkg-deb to bring Debian's: ${command} ${args.join(" ")} failed: ${error?.message ?? stderr}`,
  );
}
