import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { PostgresServer } from "../postgres/databases.ts";
import { startPostgres } from "../postgres/server.ts";
import { forgetPath, newProject } from "./project.ts";
import { startApi } from "./rest-server.ts";
import { type Leave, STATES } from "./states.ts";
import { homeOf, type Place } from "./writing.ts";

/**
 * `node test/old-state/make.ts FOLDER`: writes the state of the current version below FOLDER, all
 * but that of DynamoDB. Needs PostgreSQL with `pg_dump`. See test/fixtures/old-state/README.md.
 */

const COUNT = 40;

async function make(
  name: string,
  pipeline: string,
  leave: Leave,
  life: string,
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  const folder = newProject({ pipeline, count: COUNT });
  const home = homeOf(folder);
  const ledger = await home.openLedger({ create: true });
  await home.rememberEntry("old", join(folder, "pipeline.ts"));
  const place: Place = { folder, ledger, store: home.pipelineFolder("old"), life, env };
  await leave(place);
  ledger.close();
  keep(folder, name);
}

/** Copies the state from a project to the folder of the fixtures. */
function keep(folder: string, name: string): void {
  const target = resolve(process.argv[2] ?? "", name);
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  for (const part of ["home", "lake", "acknowledged", "accepted.json", "database.sql"])
    if (existsSync(join(folder, part))) cpSync(join(folder, part), join(target, part), { recursive: true });
  forgetPath(target, folder);
  rmSync(folder, { recursive: true });
}

/** The API dies after the first request of the second task of batch 1. */
const sendingToApi: Leave = async (place) => {
  const api = await startApi({ most: 10 });
  process.env["OLD_API"] = api.url;
  await STATES.sending(place);
  writeFileSync(join(place.folder, "accepted.json"), `${JSON.stringify(api.accepted, null, 2)}\n`);
  await api.stop();
};

/** Keeps the target table and the table of batches as SQL. */
async function makeInPostgres(name: (typeof OPEN)[number], server: PostgresServer): Promise<void> {
  const { env } = await server.database();
  const leave: Leave = async (place) => {
    await STATES[name](place);
    const dump = ["--inserts", "--no-owner", "--no-privileges", "--no-comments"];
    const { stdout } = spawnSync("pg_dump", dump, { env: { ...process.env, ...env }, encoding: "utf8" });
    writeFileSync(join(place.folder, "database.sql"), statementsOf(stdout));
  };
  await make(`postgres/${name}`, "postgres", leave, nextLife(), env);
}

/** Returns the statements of a dump without comments, settings, and commands of `psql`. */
function statementsOf(dump: string): string {
  return dump.replaceAll(/^(?:--|\\|SET |SELECT pg_catalog).*\n/gm, "").replaceAll(/\n{2,}/g, "\n");
}

const OPEN = ["committed", "planned", "committing", "landed"] as const;

let lives = 0x10;
const nextLife = () => `${(lives++).toString(16)}000000`;
for (const name of [...OPEN, "aborted", "aborting", "unacknowledged", "rewound"] as const)
  await make(`home/${name}`, "home", STATES[name], nextLife());
for (const name of OPEN) await make(`lake/${name}`, "lake", STATES[name], nextLife());
const server = await startPostgres();
for (const name of OPEN) await makeInPostgres(name, server);
await server.stop();
await make("batch/planned", "batch", STATES.batchPlanned, nextLife());
await make("rest/sending", "rest", sendingToApi, nextLife());
