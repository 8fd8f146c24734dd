// `node scripts/require-node-24.mjs && …`: begins each npm script. If this Node is too old for the
// script, prints how to get the right one and ends with 2. This file must run on old versions.
import { nodeTooOld } from "../bin/node-version.mjs";

const problem = nodeTooOld({ install: "npm ci", again: "start it with npm" });
if (problem !== undefined) {
  console.error(problem);
  process.exitCode = 2;
}
