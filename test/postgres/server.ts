import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  cpSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { freePort } from "../support/free-port.ts";
import { Databases, PASSWORD, type PostgresServer } from "./databases.ts";
import { installPostgres, librariesOf, type Programs } from "./install.ts";

/**
 * Starts a PostgreSQL server on a free port of 127.0.0.1. The server writes only to a temporary
 * folder.
 */

const START_TIMEOUT = 60_000;
/**
 * Settings of the server. The data need not survive a crash, because the server ends with the
 * tests.
 */
const SETTINGS = {
  fsync: "off",
  synchronous_commit: "off",
  full_page_writes: "off",
  jit: "off",
  shared_buffers: "32MB",
  max_connections: "100",
  max_prepared_transactions: "5",
};

/**
 * A program that ends the server and removes its files when its stdin ends. The process that holds
 * the other end of stdin may also be killed.
 */
const GUARDED = `
  exec 3<&0
  end() {
    cat <&3 >/dev/null
    kill -QUIT $$
    for _ in $(seq 100); do [ -e "$FOLDER/data/postmaster.pid" ] && sleep 0.1; done
    rm -rf "$FOLDER"
  }
  end 2>/dev/null &
  exec "$@" </dev/null 3<&-`;

/** The user of the server's process, because PostgreSQL refuses to run as root. */
interface User {
  readonly uid?: number;
  readonly gid?: number;
}

/**
 * Starts a server. With `standby`, the server replays a primary that never writes, and has only the
 * database `postgres`.
 */
export async function startPostgres({ standby = false } = {}): Promise<PostgresServer> {
  const folder = mkdtempSync(join(tmpdir(), "millrace-postgres-"));
  try {
    const user = userOf(folder);
    const programs = readable(installPostgres(), folder, user);
    initialize(programs, folder, user);
    if (standby) writeFileSync(join(folder, "data/standby.signal"), "");
    return await started(programs, folder, user, standby);
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

function userOf(folder: string): User {
  if (process.getuid?.() !== 0) return {};
  const idOf = (flag: string) => Number(spawnSync("id", [flag, "nobody"], { encoding: "utf8" }).stdout);
  const user = { uid: idOf("-u"), gid: idOf("-g") };
  chownSync(folder, user.uid, user.gid);
  return user;
}

/**
 * Returns programs that `user` can read. Copies them if necessary, because other users cannot read
 * a project below root's home.
 */
function readable(programs: Programs, folder: string, user: User): Programs {
  const { status } = spawnSync(join(programs.bin, "postgres"), ["--version"], {
    ...user,
    env: librariesOf(programs.root),
  });
  if (status === 0 || programs.root === undefined) return programs;
  const root = join(folder, "root");
  cpSync(programs.root, root, { recursive: true, verbatimSymlinks: true });
  return { bin: programs.bin.replace(programs.root, root), root };
}

function initialize(programs: Programs, folder: string, user: User): void {
  const password = join(folder, "password");
  writeFileSync(password, `${PASSWORD}\n`);
  chmodSync(password, 0o644);
  const flags = [
    "--username=postgres",
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--no-locale",
    "--no-sync",
  ];
  const { status, stderr, error } = spawnSync(
    join(programs.bin, "initdb"),
    [...flags, `--pwfile=${password}`, "-D", join(folder, "data")],
    { ...user, cwd: folder, env: environment(programs, folder), encoding: "utf8" },
  );
  if (status !== 0) throw new Error(`initdb failed: ${error?.message ?? stderr}`);
}

async function started(
  programs: Programs,
  folder: string,
  user: User,
  isStandby: boolean,
): Promise<PostgresServer> {
  const port = await freePort();
  const output = openSync(join(folder, "log"), "w+");
  const settings = {
    ...SETTINGS,
    listen_addresses: "127.0.0.1",
    port: String(port),
    unix_socket_directories: folder,
  };
  const args = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const child = spawn(
    "sh",
    ["-c", GUARDED, "sh", join(programs.bin, "postgres"), "-D", join(folder, "data"), ...args],
    { ...user, cwd: folder, env: environment(programs, folder), stdio: ["pipe", output, output] },
  );
  const server = new Server(child, folder, port, isStandby);
  const deadline = performance.now() + START_TIMEOUT;
  while (!(await server.answers())) {
    if (child.exitCode !== null || performance.now() > deadline) {
      const said = Buffer.alloc(20_000);
      readSync(output, said, { position: 0 });
      await server.stop();
      throw new Error(`PostgreSQL did not start:\n${said.toString().replaceAll("\0", "")}`);
    }
    await setTimeout(50);
  }
  return server;
}

class Server extends Databases implements PostgresServer {
  readonly #child: ChildProcess;
  readonly #folder: string;

  constructor(child: ChildProcess, folder: string, port: number, isStandby: boolean) {
    super(port, isStandby);
    this.#child = child;
    this.#folder = folder;
  }

  async stop(): Promise<void> {
    const child = this.#child;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.stdin?.end();
    if (child.exitCode === null && child.signalCode === null) await ended;
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/**
 * Returns the environment of the server without the caller's variables. PGHOST and related
 * variables would select another server.
 */
function environment(programs: Programs, folder: string): Record<string, string> {
  return {
    PATH: process.env["PATH"] ?? "",
    HOME: folder,
    FOLDER: folder,
    LC_ALL: "C",
    ...librariesOf(programs.root),
  };
}
