import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import type { LoadFnOutput, ResolveFnOutput } from "node:module";
import { dirname, relative } from "node:path";
import { fileURLToPath } from "node:url";
import type { CodeFile, CodeImport, CodeSnapshot } from "./code.ts";
import type { SharedCode } from "./shared-code.ts";

interface Resolving {
  readonly parentURL?: string | undefined;
  readonly conditions?: readonly string[];
}

/** The folder of Millrace's own code: `dist` in the package, the root in the repository. */
const OWN = new URL("../", import.meta.url).href;
const OWN_FOLDERS = /^(?:shared|local|cli|functions|infra)\//;
const PACKAGE_FOLDER = /^file:.*\/node_modules\/(?:@[^/]+\/)?[^/]+\//;

/**
 * True for the code of a pipeline: files outside node_modules that do not belong to Millrace.
 */
function isCode(url: string | undefined): url is string {
  if (url === undefined || !url.startsWith("file:") || url.includes("/node_modules/")) return false;
  return !(url.startsWith(OWN) && OWN_FOLDERS.test(url.slice(OWN.length)));
}

/**
 * Keeps the code of pipelines as it is loaded, and returns the kept code when a file is loaded
 * again. All threads of a run therefore use the same code, even if files are edited or removed
 * meanwhile. Its methods are hooks of Node's module loader.
 */
export class CodeRecord {
  readonly #files = new Map<string, CodeFile>();
  readonly #imports = new Map<string, CodeImport>();
  readonly #packages = new Set<string>();
  #shared: SharedCode | undefined;

  /** Takes over the code that another thread has loaded. */
  take({ files, imports }: CodeSnapshot): void {
    for (const file of files) this.#files.set(file.url, file);
    for (const one of imports) this.#imports.set(keyOf(one), one);
  }

  /** From now on, code is shared with the other threads of the run. `undefined` ends it. */
  shareWith(shared: SharedCode | undefined): void {
    this.#shared = shared;
  }

  /** True if the file at this URL was loaded as a pipeline, so that it is not needed any more. */
  hasEntry(url: string): boolean {
    return this.#entry(url) !== undefined;
  }

  resolve(specifier: string, context: Resolving, next: () => ResolveFnOutput): ResolveFnOutput {
    const from = isCode(context.parentURL) ? context.parentURL : "";
    const by = context.conditions?.includes("require") ? "require" : "import";
    const key = keyOf({ from, specifier, by });
    // Packages load hundreds of files, so their imports are not looked up in a folder.
    const shared = from === "" && !specifier.startsWith("file:") ? undefined : this.#shared;
    const kept = this.#imports.get(key) ?? shared?.import(key);
    if (kept !== undefined) {
      this.#imports.set(key, kept);
      return { url: kept.url, format: kept.format, shortCircuit: true };
    }
    const resolved = next();
    if (from !== "") this.#notePackage(resolved.url);
    if (!isCode(resolved.url)) return resolved;
    const own = { from, specifier, by, url: resolved.url, format: resolved.format ?? undefined } as const;
    const first = shared?.firstImport(key, own) ?? own;
    this.#imports.set(key, first);
    return { ...resolved, url: first.url, format: first.format };
  }

  load(url: string, next: () => LoadFnOutput): LoadFnOutput {
    if (!isCode(url)) return next();
    const kept = this.#files.get(url) ?? this.#shared?.file(url);
    if (kept !== undefined) {
      this.#files.set(url, kept);
      return { format: kept.format, source: kept.source, shortCircuit: true };
    }
    // Looked up before the file is read: a later edit must count as a change.
    const changedAt = changeTime(url);
    const loaded = next();
    const { format, source } = loaded;
    // Binary modules, such as WebAssembly, are not kept.
    if (source == null || format == null || format === "wasm") return loaded;
    const own = { url, format, source: textOf(source), changedAt };
    const file = this.#shared?.firstFile(own) ?? own;
    this.#files.set(url, file);
    return { ...loaded, format: file.format, source: file.source };
  }

  /** Returns the code that was loaded for the pipeline at this URL. */
  codeOf(entry: string): CodeSnapshot {
    const first = this.#entry(entry);
    const imports = first === undefined ? [] : [first];
    const importsOf = Map.groupBy(this.#imports.values(), ({ from }) => from);
    const urls = new Set(imports.map(({ url }) => url));
    // The loop also visits the URLs that it adds.
    for (const from of urls) {
      for (const one of importsOf.get(from) ?? []) {
        imports.push(one);
        urls.add(one.url);
      }
    }
    return { imports, files: [...urls].flatMap((url) => this.#files.get(url) ?? []) };
  }

  /** Returns the package.json of each package that the code imports. */
  packages(): readonly CodeFile[] {
    return [...this.#packages].flatMap((url) => fileAt(url) ?? []);
  }

  #notePackage(url: string): void {
    const [folder] = PACKAGE_FOLDER.exec(url) ?? [];
    if (folder !== undefined) this.#packages.add(`${folder}package.json`);
  }

  #entry(url: string): CodeImport | undefined {
    return this.#imports.get(keyOf({ from: "", specifier: url, by: "import" }));
  }
}

/** Returns a digest of the code's files and of their places relative to the entry. */
export function digestOf(entry: string, { files }: CodeSnapshot): string {
  const folder = dirname(fileURLToPath(entry));
  const parts = files.map(({ url, source }) => [relative(folder, fileURLToPath(url)), source] as const);
  const hash = createHash("sha256");
  for (const part of parts.sort(([a], [b]) => (a < b ? -1 : 1))) hash.update(JSON.stringify(part));
  return hash.digest("hex");
}

/** True if the file is not as it was when it was loaded. */
export function isEdited({ url, source, changedAt }: CodeFile): boolean {
  if (changeTime(url) === changedAt) return false;
  try {
    return readFileSync(fileURLToPath(url), "utf8") !== source;
  } catch {
    return true;
  }
}

function fileAt(url: string): CodeFile | undefined {
  const changedAt = changeTime(url);
  return changedAt === 0
    ? undefined
    : { url, format: "json", source: readFileSync(fileURLToPath(url), "utf8"), changedAt };
}

function changeTime(url: string): number {
  return statSync(fileURLToPath(url), { throwIfNoEntry: false })?.ctimeMs ?? 0;
}

function textOf(source: Exclude<LoadFnOutput["source"], undefined | null>): string {
  return typeof source === "string" ? source : new TextDecoder("utf-8", { ignoreBOM: true }).decode(source);
}

function keyOf({ from, specifier, by }: Pick<CodeImport, "from" | "specifier" | "by">): string {
  return JSON.stringify([from, by, specifier]);
}
