// `node scripts/on-node-24.mjs SCRIPT …`: runs a script of the project, or says how to get the Node
// that it needs. Must be read by any Node.
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { nodeTooOld } from "../bin/node-version.mjs";

const problem = nodeTooOld({ install: "npm ci", again: "start it with npm" });
if (problem === undefined) {
  const script = resolve(process.argv[2]);
  process.argv.splice(1, 2, script);
  await import(pathToFileURL(script).href);
} else {
  console.error(problem);
  process.exitCode = 2;
}
