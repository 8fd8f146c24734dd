// Must be read by any Node, to say which one is needed.
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

const REQUIRED = 24;
const CODE = "NODE_TOO_OLD";

/**
 * `undefined` if this Node is new enough; otherwise an error for the terminal, in the form of those
 * that the command prints. `install` gets a Node into the project, and `again` starts what was
 * started.
 */
export function nodeTooOld({ install, again }) {
  if (!isTooOld(process.versions.node)) return undefined;
  const { why, todo } = adviceFor(nodePackage(process.cwd()), install);
  return [
    `error ${CODE}: Millrace needs Node ${REQUIRED} or newer, this is ${process.version}`,
    `  where: ${JSON.stringify(process.execPath).slice(1, -1)}`,
    `  why:   ${why}`,
    `  do:    ${todo}${again}`,
  ].join("\n");
}

function adviceFor(folder, install) {
  const version = folder === undefined ? undefined : versionOf(folder);
  if (version === undefined || isTooOld(version)) {
    return {
      why:
        version === undefined
          ? "no Node of its own is installed in this project"
          : `the package node of this project is version ${version}`,
      todo: `${install}, or install Node ${REQUIRED}; then `,
    };
  }
  if (existsSync(join(folder, "bin")))
    return { why: "this project has a Node of its own, but it was not used", todo: "" };
  const isPnpm = /^pnpm\//.test(process.env.npm_config_user_agent || "") || hasPnpm(process.cwd());
  const build = isPnpm ? "pnpm approve-builds (choose node)" : "npm rebuild node --ignore-scripts=false";
  return {
    why: "the package node is installed, but its install script was blocked, so that it brought no Node",
    todo: `${build}, or install Node ${REQUIRED}; then `,
  };
}

function isTooOld(version) {
  return Number(version.split(".")[0]) < REQUIRED;
}

function versionOf(folder) {
  return JSON.parse(readFileSync(join(folder, "package.json"), "utf8")).version;
}

/** The folder of the package `node` that is nearest to `folder`. */
function nodePackage(folder) {
  return above(folder)
    .map((each) => join(each, "node_modules", "node"))
    .find((each) => existsSync(join(each, "package.json")));
}

function hasPnpm(folder) {
  return above(folder).some((each) => existsSync(join(each, "pnpm-lock.yaml")));
}

function above(folder) {
  const parent = dirname(folder);
  return parent === folder ? [folder] : [folder].concat(above(parent));
}
