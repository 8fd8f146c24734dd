import { isBuiltin } from "node:module";
import { posix } from "node:path";
import { circles } from "./circles.ts";
import { type Import, importsOf } from "./imports.ts";
import { COMPUTED, mayUse, PIPELINE, passage, ROOMS, roomOf } from "./rooms.ts";

/** The text of each file, by its path from the root. */
export type Files = ReadonlyMap<string, string>;

/** The parts of package.json that name packages. */
export interface Manifest {
  readonly name: string;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

/** Returns one line for each forbidden import and for each circle of imports. */
export function checkBorders(files: Files, manifest: Manifest): string[] {
  const graph = new Map<string, string[]>();
  const refused: string[] = [];
  for (const [file, source] of files) {
    const imports = importsOf(file, source);
    graph.set(
      file,
      imports.flatMap((each) => targetOf(file, each) ?? []),
    );
    const room = roomOf(file);
    if (room === undefined) refused.push(`${file} ${NO_ROOM}`);
    else refused.push(...imports.flatMap((each) => refusal(file, room, each, files, manifest) ?? []));
  }
  return [...refused, ...circles(graph)];
}

const NO_ROOM = "is in no folder of scripts/borders/rooms.ts: add its folder to ROOMS";

function refusal(
  file: string,
  room: string,
  each: Import,
  files: Files,
  manifest: Manifest,
): string | undefined {
  const target = targetOf(file, each);
  const why =
    target === undefined ? ofPackage(room, each, manifest) : ofFile(room, each, target, files.has(target));
  return why && `${file}:${each.line} imports ${each.specifier ?? COMPUTED}: ${why}`;
}

/** Returns the path that an import names, or `undefined` for a package or a computed name. */
function targetOf(file: string, { specifier, kind }: Import): string | undefined {
  const isPath = kind === "url" || specifier?.startsWith(".");
  return specifier !== undefined && isPath ? posix.join(posix.dirname(file), specifier) : undefined;
}

function ofFile(room: string, { kind }: Import, target: string, exists: boolean): string | undefined {
  // Without such an extension the URL names data or a folder, which any file may read.
  if (kind === "url" && !/\.[cm]?[jt]s$/.test(target)) return undefined;
  const other = roomOf(target);
  if (other === undefined) return `${target} ${NO_ROOM}`;
  if (!exists && other !== "dist") return `there is no module ${target}`;
  const way = passage(room, other);
  if (way === "values" || (way === "types" && kind === "type")) return undefined;
  if (way === "types") return `${room} may import nothing but types of ${other}`;
  return `${room} may not import ${other}, only ${listed(ROOMS[room]?.imports)}`;
}

function ofPackage(room: string, { specifier, kind }: Import, manifest: Manifest): string | undefined {
  const name = specifier === undefined ? COMPUTED : packageOf(specifier);
  if (!mayUse(room, name)) return `${room} may not use ${name}, only ${listed(ROOMS[room]?.packages)}`;
  if ([COMPUTED, PIPELINE].includes(name) || isBuiltin(name)) return undefined;
  const { dependencies, peerDependencies, devDependencies } = manifest;
  if (name in dependencies || name in peerDependencies) return undefined;
  if (ROOMS[room]?.isTool && (name === manifest.name || name in devDependencies)) return undefined;
  if (kind === "type" && `@types/${name}` in devDependencies) return undefined;
  return `package.json does not have ${name}${ROOMS[room]?.isTool ? "" : " as a dependency or a peer"}`;
}

function packageOf(specifier: string): string {
  const parts = specifier.split("/");
  if (specifier.startsWith("node:")) return specifier;
  return parts.slice(0, specifier.startsWith("@") ? 2 : 1).join("/");
}

function listed(names: readonly string[] | "all" = []): string {
  return names.length === 0 ? "its own files" : [...names].join(", ");
}
