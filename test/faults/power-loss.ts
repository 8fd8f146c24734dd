import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Home } from "../../local/home.ts";
import { OwnerLock } from "../../local/owner-lock.ts";
import type { ObjectStore } from "../../shared/contract/object-store.ts";
import type { Ledger } from "../../shared/engine/ports/ledger.ts";
import { DirectoryStore } from "../../shared/platform/embedded/directory-store.ts";
import { finish, tidy } from "./acts.ts";
import type { Content, Cut } from "./disk.ts";
import { judgeFolder, LEDGER, openFolder, PIPELINE } from "./folder.ts";
import type { Sight } from "./real.ts";
import { recordFiles } from "./recorded-files.ts";
import { Run } from "./run.ts";
import type { Shape } from "./setup.ts";

/**
 * What a loss of power does to the files of a home, without pulling plugs: a program is recorded,
 * and cut at each moment. Each content that the disk may have then is judged.
 */

const MINUTES = 60_000;
const DAYS = 1440 * MINUTES;
const NOW = Date.UTC(2026, 10, 21);
/** A folder in memory, if there is one: what is synced here is not asked of a real disk. */
const MEMORY = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
const UPLOAD = ".upload";

/** What the program of `storeAfterPowerLoss` knows about an object. */
interface ObjectNews {
  readonly path: string;
  readonly bytes: Uint8Array;
  /** `stored`: `put` has returned. `deleting`: `delete` may begin. */
  readonly state: "stored" | "deleting";
}

async function withFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(MEMORY, "millrace-power-"));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Puts and deletes objects in a directory store, and returns what a loss of power could break: an
 * object that `put` has confirmed, or a part of an object under its final name.
 */
export async function storeAfterPowerLoss(): Promise<readonly string[]> {
  const problems = new Set<string>();
  await withFolder(async (root) => {
    const all = new Map<string, Uint8Array>();
    const disk = await recordFiles(root, async (recording) => {
      await useStore(root, all, (news) => recording.tell(news));
    });
    for (const cut of disk.cuts())
      for (const content of cut.contents)
        for (const what of judgeStore(cut, content, all)) problems.add(what);
  });
  return [...problems];
}

async function useStore(
  root: string,
  all: Map<string, Uint8Array>,
  tell: (news: ObjectNews) => void,
): Promise<void> {
  const store = new DirectoryStore(join(root, "home", "pipeline"));
  const put = async (into: ObjectStore, key: string, text: string) => {
    const path = `${into.location.slice(root.length + 1)}/${key}`;
    const bytes = Buffer.from(text);
    if (!all.has(path)) all.set(path, bytes);
    await into.put(key, text.length % 2 === 0 ? bytes : chunksOf(bytes));
    tell({ path, bytes: all.get(path) ?? bytes, state: "stored" });
    return path;
  };
  await put(store, "batches/0/partitions.json", "the partitions");
  await put(store, "batches/0/partitions.json", "others, too late");
  await put(store, "table/data/one.arrow", "some rows");
  // Two tasks at once are the first in a new folder.
  await Promise.all([
    put(store.at("staging"), "a/one.arrow", "rows of one"),
    put(store.at("staging"), "a/two.arrow", "rows of two!"),
  ]);
  // Another process made the folder, and was killed before it could sync it.
  mkdirSync(join(store.location, "table", "_log"));
  const path = await put(store, "table/_log/0.json", "the first entry");
  await put(store, "table/_log/1.json", "the next entry!");
  const deleting = (one: string) =>
    tell({ path: one, bytes: all.get(one) ?? Buffer.of(), state: "deleting" });
  deleting(path);
  await store.delete(["table/_log/0.json"]);
  // A person removes a folder, and the same process goes on.
  for (const one of all.keys()) if (one.includes("/staging/")) deleting(one);
  rmSync(join(store.location, "staging"), { recursive: true });
  await put(store.at("staging"), "a/three.arrow", "rows of three");
}

async function* chunksOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes.subarray(0, 3);
  yield bytes.subarray(3);
}

function judgeStore(
  { told }: Cut,
  content: Content,
  all: ReadonlyMap<string, Uint8Array>,
): readonly string[] {
  const problems: string[] = [];
  const news = told as readonly ObjectNews[];
  for (const { path, bytes } of news.filter(({ state }) => state === "stored")) {
    const found = content.get(path);
    const isDeleted = news.some((each) => each.path === path && each.state === "deleting");
    if (found === undefined && !isDeleted) problems.push("an object that put had confirmed is gone");
    else if (found !== undefined && !isEqual(found, bytes))
      problems.push("an object that put had confirmed is not whole");
  }
  for (const [path, found] of content)
    if (!path.endsWith(UPLOAD) && !isEqual(found, all.get(path)))
      problems.push("a part of an object has its final name");
  return problems;
}

function isEqual(a: Uint8Array, b: Uint8Array | undefined): boolean {
  return b !== undefined && Buffer.compare(a, b) === 0;
}

/** Two batches of two tasks, so that a run has what each step leaves, and few moments more. */
const SHAPE: Shape = { rows: 4, rowsABatch: 2, partitions: 1 };

type RunNews =
  | { readonly sight: Sight }
  | { readonly ledger: readonly (Uint8Array | undefined)[] }
  | { readonly entry: string };

/** The files of the ledger. SQLite syncs them itself, so they are as they were last committed. */
const LEDGER_FILES = [LEDGER, `${LEDGER}-wal`];

/**
 * Runs a pipeline in a home, and a vacuum. Then cuts the power at each moment, lets the next run go
 * on with each content that the disk may have, and returns what is broken in the end.
 */
export async function runAfterPowerLoss(): Promise<readonly string[]> {
  const problems = new Set<string>();
  await withFolder(async (root) => {
    const disk = await recordFiles(root, (recording) => runInHome(root, (news) => recording.tell(news)));
    const known = new Set<string>();
    for (const cut of disk.cuts()) {
      for (const what of await recoverAll(cut, known)) problems.add(what);
      if (problems.size > 0) return;
    }
  });
  return [...problems];
}

/** Recovers each content of a cut that is not in `known`, and adds it there. */
async function recoverAll({ told, contents }: Cut, known: Set<string>): Promise<readonly string[]> {
  const news = told as readonly RunNews[];
  const ledger = news.findLast((each) => "ledger" in each)?.ledger ?? [];
  const problems: string[] = [];
  for (const content of contents) {
    const key = keyOf(content, ledger);
    if (known.has(key)) continue;
    known.add(key);
    problems.push(...(await recover(content, ledger, news)));
  }
  return problems;
}

async function runInHome(root: string, tell: (news: RunNews) => void): Promise<void> {
  const home = new Home(root);
  (await home.openLedger({ create: true })).close();
  const lock = new OwnerLock(home.ownersFolder, "run");
  await home.rememberEntry(PIPELINE, "first.ts");
  await home.rememberEntry(PIPELINE, "pipeline.ts");
  tell({ entry: "pipeline.ts" });
  const tellLedger = () => {
    const paths = LEDGER_FILES.map((name) => join(root, name));
    tell({ ledger: paths.map((path) => (existsSync(path) ? readFileSync(path) : undefined)) });
  };
  tellLedger();
  const { world, close } = openFolder(root, NOW, {
    shape: SHAPE,
    note: (sight) => tell({ sight }),
    wrapLedger: (ledger) => telling(ledger, tellLedger),
  });
  await new Run(world).start();
  world.now += 3 * DAYS;
  await tidy(world);
  close();
  lock.release();
}

/** Returns a ledger that tells of each call when it has ended. */
function telling(ledger: Ledger, tell: () => void): Ledger {
  return new Proxy(ledger, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== "function") return value;
      return async (...args: unknown[]) => {
        const result: unknown = await value.apply(target, args);
        tell();
        return result;
      };
    },
  });
}

function keyOf(content: Content, ledger: readonly (Uint8Array | undefined)[]): string {
  const files = [...content].map(([path, bytes]) => `${path} ${bytes.length}`).sort();
  return JSON.stringify([files, ledger.map((bytes) => bytes && Buffer.from(bytes).toString("base64"))]);
}

/** Lets the next run go on with what the disk has. Returns what is broken in the end. */
async function recover(
  content: Content,
  ledger: readonly (Uint8Array | undefined)[],
  news: readonly RunNews[],
): Promise<readonly string[]> {
  return await withFolder(async (folder) => {
    for (const [path, bytes] of content) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), bytes);
    }
    for (const [i, bytes] of ledger.entries())
      if (bytes !== undefined) writeFileSync(join(folder, LEDGER_FILES[i] ?? ""), bytes);
    try {
      return await goOn(folder, news);
    } catch (error) {
      return [`what is left cannot be used: ${error instanceof Error ? error.message : String(error)}`];
    }
  });
}

async function goOn(folder: string, news: readonly RunNews[]): Promise<readonly string[]> {
  const found = new Home(folder).entryOf(PIPELINE);
  if (news.some((each) => "entry" in each) && found !== "pipeline.ts")
    return ["the pipeline's file is forgotten"];
  const sights = news.flatMap((each) => ("sight" in each ? [each.sight] : []));
  const note = (sight: Sight) => sights.push(sight);
  const { world, close } = openFolder(folder, NOW + 10 * DAYS, { shape: SHAPE, note });
  try {
    await finish(world);
    world.now += 10 * DAYS;
    await tidy(world);
  } finally {
    close();
  }
  return await judgeFolder(folder, SHAPE, sights);
}
