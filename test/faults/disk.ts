/**
 * A disk as it may look after a loss of power. Synced bytes and names are there. Of a file that was
 * not synced, all bytes may be there, or a part, or none; each other change of a folder may be lost
 * by itself.
 */

/** A file. Its bytes are appended, and never change otherwise. */
export interface DiskFile {
  readonly kind: "file";
  readonly id: number;
  bytes: Uint8Array;
}

/** A folder of the disk, by what its names stand for. */
export interface DiskFolder {
  readonly kind: "folder";
  readonly id: number;
  readonly entries: Map<string, DiskFile | DiskFolder>;
}

export type DiskNode = DiskFile | DiskFolder;

/** What a name in a folder stands for from now on; `undefined` if it was removed. */
interface NameChange {
  readonly folder: DiskFolder;
  readonly name: string;
  readonly node: DiskNode | undefined;
}

/** What happened to the disk, in order. */
type Happening =
  /** Names that change together, as in a rename. */
  | { readonly kind: "names"; readonly changes: readonly NameChange[] }
  | { readonly kind: "append"; readonly file: DiskFile; readonly length: number }
  | { readonly kind: "file synced"; readonly file: DiskFile; readonly before: number }
  | { readonly kind: "folder synced"; readonly folder: DiskFolder; readonly before: number }
  /** Something that the program was told at this moment, such as that an object is stored. */
  | { readonly kind: "told"; readonly what: unknown };

/** The content of the disk after a loss of power: the bytes of each file, by its path. */
export type Content = ReadonlyMap<string, Uint8Array>;

/** A moment at which the power fails, and what the program was told before. */
export interface Cut {
  /** Number of the happenings before it. */
  readonly at: number;
  readonly told: readonly unknown[];
  /** All contents that the disk may have then. */
  readonly contents: readonly Content[];
}

/** Up to this number of changes that were not synced, all combinations of them are tried. */
const MOST_COMBINED = 5;
/** How much of the bytes that were not synced is on the disk. */
const KEPT = [0, 0.5, 1] as const;

/** Records what happens to files below one folder, which itself is durable. */
export class Disk {
  readonly root: DiskFolder;
  readonly #happenings: Happening[] = [];
  #ids = 0;

  constructor() {
    this.root = this.newFolder();
  }

  newFolder(): DiskFolder {
    return { kind: "folder", id: this.#ids++, entries: new Map() };
  }

  newFile(): DiskFile {
    return { kind: "file", id: this.#ids++, bytes: new Uint8Array() };
  }

  /** Changes names in folders, all at once. */
  change(...changes: readonly NameChange[]): void {
    for (const { folder, name, node } of changes) setName(folder, name, node);
    this.#happenings.push({ kind: "names", changes });
  }

  append(file: DiskFile, bytes: Uint8Array): void {
    file.bytes = Buffer.concat([file.bytes, bytes]);
    this.#happenings.push({ kind: "append", file, length: file.bytes.length });
  }

  /**
   * Begins a sync. The function that it returns is called when it has ended: everything that
   * happened to the file or the folder before the sync began is durable then.
   */
  beginSync(node: DiskNode): () => void {
    const before = this.#happenings.length;
    return () => {
      const synced =
        node.kind === "file"
          ? ({ kind: "file synced", file: node, before } as const)
          : ({ kind: "folder synced", folder: node, before } as const);
      this.#happenings.push(synced);
    };
  }

  tell(what: unknown): void {
    this.#happenings.push({ kind: "told", what });
  }

  /** Yields each moment at which the power may fail. */
  *cuts(): Generator<Cut> {
    for (let at = 0; at <= this.#happenings.length; at++) {
      const before = this.#happenings.slice(0, at);
      const told = before.flatMap((each) => (each.kind === "told" ? [each.what] : []));
      yield { at, told, contents: [...this.#contents(before)] };
    }
  }

  *#contents(before: readonly Happening[]): Generator<Content> {
    const names = before.flatMap((each, i) => (each.kind === "names" ? [{ ...each, i }] : []));
    const isDurable = ({ changes, i }: (typeof names)[number]) =>
      changes.every(({ folder }) =>
        before.some((each) => each.kind === "folder synced" && each.folder === folder && i < each.before),
      );
    const durable = new Set(names.filter(isDurable));
    const pending = names.filter((each) => !durable.has(each));
    const seen = new Set<string>();
    for (const kept of combinations(pending)) {
      const present = names.filter((each) => durable.has(each) || kept.has(each));
      const tree = treeOf(present.flatMap(({ changes }) => changes));
      for (const share of KEPT) {
        const content = new Map(filesOf(this.root, tree, (file) => bytesOf(file, before, share)));
        const key = JSON.stringify([...content].map(([path, bytes]) => [path, bytes.length]));
        if (!seen.has(key)) yield content;
        seen.add(key);
      }
    }
  }
}

/** Yields sets of changes that are on the disk although they were not synced. */
function* combinations<T>(pending: readonly T[]): Generator<ReadonlySet<T>> {
  if (pending.length <= MOST_COMBINED) {
    for (let bits = 0; bits < 2 ** pending.length; bits++)
      yield new Set(pending.filter((_, i) => (bits >> i) % 2 === 1));
    return;
  }
  for (const [i, one] of pending.entries()) {
    yield new Set(pending.slice(0, i));
    yield new Set(pending.slice(i));
    yield new Set([one]);
    yield new Set(pending.filter((each) => each !== one));
  }
}

type Tree = ReadonlyMap<DiskFolder, ReadonlyMap<string, DiskNode>>;

function treeOf(changes: readonly NameChange[]): Tree {
  const tree = new Map<DiskFolder, Map<string, DiskNode>>();
  for (const { folder, name, node } of changes) {
    const entries = tree.get(folder) ?? new Map<string, DiskNode>();
    tree.set(folder, entries);
    if (node === undefined) entries.delete(name);
    else entries.set(name, node);
  }
  return tree;
}

function* filesOf(
  folder: DiskFolder,
  tree: Tree,
  read: (file: DiskFile) => Uint8Array,
  path = "",
): Generator<[string, Uint8Array]> {
  for (const [name, node] of tree.get(folder) ?? []) {
    if (node.kind === "file") yield [path + name, read(node)];
    else yield* filesOf(node, tree, read, `${path}${name}/`);
  }
}

/** Returns the bytes of a file of which a share of the bytes that were not synced is there. */
function bytesOf(file: DiskFile, before: readonly Happening[], share: number): Uint8Array {
  let synced = 0;
  let length = 0;
  for (const [i, each] of before.entries()) {
    if (each.kind === "append" && each.file === file) length = each.length;
    if (each.kind !== "file synced" || each.file !== file) continue;
    const last = before
      .slice(0, Math.min(i, each.before))
      .findLast((one) => one.kind === "append" && one.file === file);
    if (last?.kind === "append") synced = Math.max(synced, last.length);
  }
  return file.bytes.subarray(0, synced + Math.floor((length - synced) * share));
}

function setName(folder: DiskFolder, name: string, node: DiskNode | undefined): void {
  if (node === undefined) folder.entries.delete(name);
  else folder.entries.set(name, node);
}
