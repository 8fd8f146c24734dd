import fs from "node:fs";
import fsPromises, { type FileHandle } from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { basename, dirname, relative, sep } from "node:path";
import { Disk, type DiskFile, type DiskFolder, type DiskNode } from "./disk.ts";

/**
 * Calls `work` while every change of a file below `root` is made and recorded. The folder `root`
 * must be empty. Functions of `node:fs` that would change files unseen throw an error.
 */
export async function recordFiles(root: string, work: (disk: Disk) => Promise<void>): Promise<Disk> {
  const disk = new Disk();
  const recorder = new Recorder(disk, root);
  const restore = [
    replaceAll(fsPromises, recorder.promised()),
    replaceAll(fs, recorder.synchronous()),
    refuse(fsPromises, ["appendFile", "copyFile", "cp", "rmdir", "symlink", "truncate"], root),
    refuse(fs, ["appendFileSync", "copyFileSync", "rmdirSync", "symlinkSync", "writeSync"], root),
    refuse(fs, ["createWriteStream", "writeFile", "rename", "link", "unlink", "open", "mkdir"], root),
  ];
  syncBuiltinESMExports();
  try {
    await work(disk);
  } finally {
    for (const each of restore.reverse()) each();
    syncBuiltinESMExports();
  }
  return disk;
}

type Functions = Readonly<Record<string, unknown>>;
type Call = (...args: unknown[]) => unknown;

/** Replaces functions of a module. Returns a function that puts them back. */
function replaceAll(module: object, functions: Functions): () => void {
  const target = module as Record<string, unknown>;
  const before = Object.fromEntries(Object.keys(functions).map((name) => [name, target[name]]));
  Object.assign(target, functions);
  return () => Object.assign(target, before);
}

function refuse(module: object, names: readonly string[], root: string): () => void {
  const original = module as Record<string, Call>;
  const refusing = (name: string) => {
    const call = original[name] as Call;
    return (...args: unknown[]) => {
      if (args.some((arg) => isBelow(root, arg)))
        throw new Error(`${name} is not recorded: teach it to the test`);
      return call(...args);
    };
  };
  return replaceAll(module, Object.fromEntries(names.map((name) => [name, refusing(name)])));
}

function isBelow(root: string, path: unknown): path is string {
  return typeof path === "string" && path.startsWith(root + sep);
}

/** Makes the recorded versions of the functions of `node:fs`. */
class Recorder {
  readonly #disk: Disk;
  readonly #root: string;
  readonly #handles = new Map<number, DiskNode>();

  constructor(disk: Disk, root: string) {
    this.#disk = disk;
    this.#root = root;
  }

  promised(): Functions {
    const { open, mkdir, link, unlink, rename, rm, writeFile } = fsPromises;
    return {
      open: async (...args: Parameters<typeof open>) => {
        const [path, flags = "r"] = args;
        const node = this.#opened(path, flags);
        const handle = await open(...args);
        return node === undefined ? handle : this.#handle(handle, node);
      },
      mkdir: async (...args: Parameters<typeof mkdir>) => {
        this.#made(args[0]);
        return await mkdir(...args);
      },
      link: async (from: string, to: string) => {
        await link(from, to);
        this.#linked(from, to);
      },
      unlink: async (path: string) => {
        await unlink(path);
        this.#removed(path);
      },
      rename: async (from: string, to: string) => {
        await rename(from, to);
        this.#renamed(from, to);
      },
      rm: async (...args: Parameters<typeof rm>) => {
        await rm(...args);
        this.#removed(args[0]);
      },
      writeFile: async (...args: Parameters<typeof writeFile>) => {
        this.#wrote(args[0], args[1]);
        await writeFile(...args);
      },
    };
  }

  synchronous(): Functions {
    const { openSync, mkdirSync, linkSync, unlinkSync, renameSync, rmSync, writeFileSync, fsyncSync } = fs;
    return {
      openSync: (...args: Parameters<typeof openSync>) => {
        const node = this.#opened(args[0], args[1] ?? "r");
        const handle = openSync(...args);
        if (node !== undefined) this.#handles.set(handle, node);
        return handle;
      },
      mkdirSync: (...args: Parameters<typeof mkdirSync>) => {
        this.#made(args[0]);
        return mkdirSync(...args);
      },
      linkSync: (from: string, to: string) => {
        linkSync(from, to);
        this.#linked(from, to);
      },
      unlinkSync: (path: string) => {
        unlinkSync(path);
        this.#removed(path);
      },
      renameSync: (from: string, to: string) => {
        renameSync(from, to);
        this.#renamed(from, to);
      },
      rmSync: (...args: Parameters<typeof rmSync>) => {
        rmSync(...args);
        this.#removed(args[0]);
      },
      writeFileSync: (...args: Parameters<typeof writeFileSync>) => {
        this.#wrote(args[0], args[1]);
        writeFileSync(...args);
      },
      fsyncSync: (handle: number) => {
        const node = this.#handles.get(handle);
        const end = node && this.#disk.beginSync(node);
        fsyncSync(handle);
        end?.();
      },
    };
  }

  /** Returns a handle whose writes and syncs are recorded. */
  #handle(handle: FileHandle, node: DiskNode): FileHandle {
    const append = (bytes: unknown) => this.#append(node as DiskFile, bytes);
    const sync = async (call: () => Promise<void>) => {
      const end = this.#disk.beginSync(node);
      await call();
      end();
    };
    const recorded: Functions = {
      writeFile: (body: string) => {
        append(body);
        return handle.writeFile(body);
      },
      appendFile: (body: string) => {
        append(body);
        return handle.appendFile(body);
      },
      sync: () => sync(() => handle.sync()),
      datasync: () => sync(() => handle.datasync()),
      write: () => {
        throw new Error("FileHandle.write is not recorded: teach it to the test");
      },
    };
    return new Proxy(handle, {
      get(target, name) {
        const own = typeof name === "string" && Object.hasOwn(recorded, name) ? recorded[name] : undefined;
        if (own !== undefined) return own;
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  }

  #append(file: DiskFile, bytes: unknown): void {
    this.#disk.append(file, typeof bytes === "string" ? Buffer.from(bytes) : (bytes as Uint8Array));
  }

  /** Returns the node at a path, which a write flag creates. `undefined` above the root. */
  #opened(path: unknown, flags: unknown): DiskNode | undefined {
    if (path === this.#root) return this.#disk.root;
    if (!isBelow(this.#root, path)) return undefined;
    const known = this.#find(path);
    if (known !== undefined && flags === "w")
      throw new Error(`${path} is overwritten: half of it may be lost`);
    if (known !== undefined || flags === "r") return known;
    const file = this.#disk.newFile();
    this.#disk.change({ ...this.#place(path), node: file });
    return file;
  }

  #made(path: unknown): void {
    if (!isBelow(this.#root, path) || this.#find(path) !== undefined) return;
    this.#made(dirname(path));
    this.#disk.change({ ...this.#place(path), node: this.#disk.newFolder() });
  }

  #linked(from: string, to: string): void {
    if (isBelow(this.#root, to)) this.#disk.change({ ...this.#place(to), node: this.#find(from) });
  }

  #renamed(from: string, to: string): void {
    if (!isBelow(this.#root, to)) return;
    const node = this.#find(from);
    this.#disk.change({ ...this.#place(from), node: undefined }, { ...this.#place(to), node });
  }

  #removed(path: unknown): void {
    if (isBelow(this.#root, path) && this.#find(path) !== undefined)
      this.#disk.change({ ...this.#place(path), node: undefined });
  }

  #wrote(path: unknown, bytes: unknown): void {
    if (isBelow(this.#root, path)) this.#append(this.#opened(path, "w") as DiskFile, bytes);
  }

  #find(path: string): DiskNode | undefined {
    let node: DiskNode | undefined = this.#disk.root;
    for (const name of relative(this.#root, path).split(sep))
      node = node?.kind === "folder" ? node.entries.get(name) : undefined;
    return node;
  }

  #place(path: string): { readonly folder: DiskFolder; readonly name: string } {
    const folder = dirname(path) === this.#root ? this.#disk.root : this.#find(dirname(path));
    if (folder?.kind !== "folder") throw new Error(`the folder of ${path} was made unseen`);
    return { folder, name: basename(path) };
  }
}
