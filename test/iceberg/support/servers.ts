import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout } from "node:timers/promises";
import { restClassPath } from "../../../scripts/setup-iceberg.ts";
import { PYTHON } from "../../../scripts/setup-python.ts";
import { freePort } from "../../support/free-port.ts";
import type { CatalogAddress } from "./catalog-address.ts";

/** Servers for tests of Iceberg tables, on free ports of 127.0.0.1. They end with this process. */
export interface LocalServer {
  readonly port: number;
  stop(): Promise<void>;
}

/** Milliseconds that a server has to start. */
const START_TIMEOUT = 60_000;
/** Settings with which the server starts in half a second and needs 114 MB. */
const SMALL_JAVA = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];

/**
 * Starts the REST catalog of Iceberg's tests. With `behind`, its tables are those of a SQL catalog,
 * so that programs that only speak REST can write to it. Otherwise, the catalog is in memory.
 */
export async function startRestCatalog(warehouse: string, behind?: CatalogAddress): Promise<LocalServer> {
  const properties = behind?.spark ?? {
    uri: "jdbc:sqlite:file::memory:?cache=shared",
    warehouse: `file://${warehouse}`,
  };
  const { "catalog-impl": _, ...settings } = properties;
  const args = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  const main = ["-cp", restClassPath(), "org.apache.iceberg.rest.LocalRest", behind?.name ?? "local"];
  const child = spawn("java", [...SMALL_JAVA, ...main, ...args], { stdio: ["pipe", "pipe", "pipe"] });
  const errors = keepErrors(child);
  return { port: await portOf(child, errors), stop: () => stop(child) };
}

/** Reads the line in which the server says its port. */
async function portOf(child: ChildProcess, errors: () => string): Promise<number> {
  if (child.stdout === null) throw new Error("the server has no output");
  for await (const line of createInterface({ input: child.stdout })) {
    const port = /^PORT (\d+)$/.exec(line)?.[1];
    if (port !== undefined) return Number(port);
  }
  throw new Error(`the REST catalog did not start: ${errors()}`);
}

/** Starts MiniStack with these services. Default: S3 and S3 Tables. */
export async function startMiniStack(services = "s3,s3tables"): Promise<LocalServer> {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), "millrace-ministack-"));
  const env = {
    ...process.env,
    BIND_HOST: "127.0.0.1", // By default it listens on every address.
    GATEWAY_PORT: String(port),
    SERVICES: services,
  };
  const child = spawn("sh", ["-c", GUARDED, "sh", join(dirname(PYTHON), "ministack")], {
    cwd: folder,
    env,
    stdio: ["pipe", "ignore", "pipe"],
  });
  const errors = keepErrors(child);
  const url = `http://127.0.0.1:${port}/`;
  const deadline = performance.now() + START_TIMEOUT;
  while (!(await answers(url))) {
    if (child.exitCode !== null || performance.now() > deadline) {
      await stop(child);
      throw new Error(`MiniStack did not start: ${errors()}`);
    }
    await setTimeout(50);
  }
  return {
    port,
    stop: async () => {
      await stop(child);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A program that ends the server when its stdin ends, because this process may be killed. */
const GUARDED = `
  exec 3<&0
  { cat <&3 >/dev/null; kill -TERM $$; } 2>/dev/null &
  exec "$@" </dev/null 3<&-`;

async function answers(url: string): Promise<boolean> {
  try {
    await fetch(url);
    return true;
  } catch {
    return false;
  }
}

function keepErrors(child: ChildProcess): () => string {
  let text = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    text = (text + chunk.toString()).slice(-20_000);
  });
  return () => text;
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.stdin?.end();
  await ended;
}
