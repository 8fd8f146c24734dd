import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { ROOT } from "../support/root.ts";

export interface Edit {
  /** Path from the root of the repository. */
  readonly file: string;
  /** Text to replace. The file must contain it exactly once. */
  readonly find: string;
  readonly replace: string;
}

export type Harness = typeof import("./cases.ts") & Pick<typeof import("./probes.ts"), "runProbe">;

/**
 * The folders whose modules each mutation loads as a separate copy. All other modules are loaded
 * once.
 */
const COPIED = ["shared/", "local/", "test/faults/", "test/iceberg/"].map(
  (folder) => pathToFileURL(join(ROOT, folder)).href,
);
const PARAMETER = "mutation";

/**
 * The edits of each loaded mutation. The URLs of a mutation's modules contain its index in this
 * list.
 */
const loaded: (readonly Edit[])[] = [];

/** Loads the harness and the engine with some edits. */
export async function mutatedHarness(edits: readonly Edit[]): Promise<Harness> {
  const modules = ["./cases.ts", "./probes.ts"].map((name) => new URL(name, import.meta.url));
  return await mutated<Harness>(edits, modules);
}

/**
 * Loads modules, and all that they import, with some edits. Returns their exports together. Earlier
 * mutations stay loaded. Throws if a file does not contain the text of an edit exactly once.
 */
export async function mutated<T extends object>(edits: readonly Edit[], modules: readonly URL[]): Promise<T> {
  for (const { file, find } of edits)
    if (readFileSync(join(ROOT, file), "utf8").split(find).length !== 2)
      throw new Error(`"${find}" is not in ${file} exactly once: correct the mutation`);
  if (loaded.length === 0) registerHooks({ resolve: resolveCopy, load: loadEdited });
  const mutation = String(loaded.push(edits) - 1);
  const exported = modules.map(async ({ href }) => {
    const url = new URL(href);
    url.searchParams.set(PARAMETER, mutation);
    return (await import(url.href)) as object;
  });
  return Object.assign({}, ...(await Promise.all(exported))) as T;
}

type Hooks = Required<Parameters<typeof registerHooks>[0]>;

/** Resolves an import of a mutated module to the copy of the same mutation. */
const resolveCopy: Hooks["resolve"] = (specifier, context, nextResolve) => {
  const resolved = nextResolve(specifier, context);
  const mutation = mutationOf(context.parentURL);
  if (mutation === null || !COPIED.some((folder) => resolved.url.startsWith(folder))) return resolved;
  const url = new URL(resolved.url);
  url.searchParams.set(PARAMETER, mutation);
  return { ...resolved, url: url.href };
};

const loadEdited: Hooks["load"] = (url, context, nextLoad) => {
  const module = nextLoad(url, context);
  const mutation = mutationOf(url);
  if (mutation === null) return module;
  const path = fileURLToPath(new URL(url));
  const edits = loaded[Number(mutation)]?.filter(({ file }) => join(ROOT, file) === path) ?? [];
  if (edits.length === 0) return module;
  const source = edits.reduce(
    (text, { find, replace }) => text.replace(find, () => replace),
    readFileSync(path, "utf8"),
  );
  return { ...module, source };
};

function mutationOf(url: string | undefined): string | null {
  return url?.startsWith("file:") ? new URL(url).searchParams.get(PARAMETER) : null;
}
