import { accessSync, closeSync, constants, openSync, statfsSync } from "node:fs";
import { dirname } from "node:path";

/**
 * What to do about an error of the operating system, by its code. An error whose cause is not known
 * says so, because wrong advice costs more time than none.
 */
export interface Advice {
  readonly hint: string;
  /** True if the same call may succeed a moment later. */
  readonly retryable: boolean;
}

const ADVICE: Readonly<Record<string, string>> = {
  EMFILE:
    "This process has too many open files. Raise the limit, such as `ulimit -n 4096`, or lower --max-concurrency.",
  ENFILE: "This machine has too many open files. Close programs, or raise the system's limit of open files.",
  ENOSPC: "The disk is full. Free some space, then run again.",
  EDQUOT: "The disk quota of this user is used up. Free some space, or raise the quota, then run again.",
  EFBIG: "The file is larger than this process may write. Raise the limit, such as `ulimit -f unlimited`.",
  EROFS: "The file system is mounted read-only. Mount it for writing, or choose another folder: --home DIR.",
  EACCES:
    "This user has no right to the path. Look who owns it, as with `ls -ld`, and run as that user or change the rights.",
  EPERM: "The operating system does not permit this. Look who owns the path, and whether it is immutable.",
  EIO: "The disk or the network drive failed. Look into the system's log before you run again.",
  ESTALE: "The network drive has lost the file. Mount it again, then run again.",
  ENOMEM: "The machine has no memory left. Close programs, then run again.",
  ENOENT: "The path, or a folder above it, does not exist. Check its name, and that its drive is mounted.",
  ENOTDIR: "A part of the path is a file, not a folder. Check its name.",
  EISDIR: "The path is a folder, not a file. Check its name.",
  EEXIST: "There is a file in the place of a folder. Check the path.",
  ELOOP: "The path has symbolic links that lead to each other. Correct them.",
  ENAMETOOLONG: "The path is too long for the file system. Choose a shorter one.",
  EXDEV: "The file system cannot link files. Choose another folder.",
};

const RETRYABLE: ReadonlySet<string> = new Set(["EAGAIN", "EBUSY", "EMFILE", "ENFILE"]);

const SHORTAGES: ReadonlySet<string> = new Set(["EMFILE", "ENFILE", "ENOSPC", "EDQUOT", "EIO", "ENOMEM"]);

/** Returns the advice for the code of a system error. */
export function adviceFor(code: string | undefined): Advice {
  return {
    hint:
      (code === undefined ? undefined : ADVICE[code]) ??
      "The cause is not known: the message above is all that the system told.",
    retryable: code !== undefined && RETRYABLE.has(code),
  };
}

/** True if the system lacks something that the program needs, whichever file it is about. */
export function isShortage(code: string | undefined): code is string {
  return code !== undefined && SHORTAGES.has(code);
}

/** Returns the code of a system error, such as `ENOSPC`, or of the system error that caused it. */
export function systemCodeOf(error: unknown): string | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    if ("code" in at && typeof at.code === "string" && "syscall" in at) return at.code;
    // Node's module loader tells no code.
    if (/too many open files/i.test(at.message)) return "EMFILE";
  }
  return undefined;
}

/** SQLite's primary result codes. */
export const SQLITE = {
  error: 1,
  busy: 5,
  locked: 6,
  outOfMemory: 7,
  readOnly: 8,
  ioError: 10,
  corrupt: 11,
  full: 13,
  cannotOpen: 14,
  notADatabase: 26,
} as const;

/** Returns SQLite's primary result code, or `undefined` for another error. */
export function sqliteCodeOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !("errcode" in error) || typeof error.errcode !== "number")
    return undefined;
  return error.errcode & 0xff;
}

/**
 * Returns the code of the system error behind an error of SQLite. SQLite does not tell why a file
 * cannot be opened, so this tries what SQLite would do.
 */
export function systemCodeOfSqlite(error: unknown, path: string): string | undefined {
  switch (sqliteCodeOf(error)) {
    case SQLITE.full:
      return "ENOSPC";
    case SQLITE.outOfMemory:
      return "ENOMEM";
    case SQLITE.readOnly:
      return probe(path) ?? "EACCES";
    case SQLITE.cannotOpen:
    case SQLITE.ioError:
      return probe(path);
    default:
      return systemCodeOf(error);
  }
}

/** The index beside SQLite's log has 32 KiB, and so is the first thing that finds no room. */
const LEAST_BYTES = 32 * 1024;

/** SQLite reports only that a file cannot grow. */
function isFull(folder: string): boolean {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize < LEAST_BYTES;
}

/** SQLite opens the file, its log, its index and a folder. */
const HANDLES = 4;

function probe(path: string): string | undefined {
  const handles: number[] = [];
  try {
    for (let i = 0; i < HANDLES; i++) handles.push(openSync(dirname(path), "r"));
    accessSync(dirname(path), constants.W_OK);
    accessSync(path, constants.R_OK | constants.W_OK);
    return isFull(dirname(path)) ? "ENOSPC" : undefined;
  } catch (error) {
    const code = systemCodeOf(error);
    // SQLite creates the file.
    return code === "ENOENT" && handles.length === HANDLES ? undefined : code;
  } finally {
    for (const handle of handles) closeSync(handle);
  }
}
