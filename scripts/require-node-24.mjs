// `node scripts/require-node-24.mjs && …`: each npm script begins with this command. If the running
// Node is too old, it prints how to get the right version and exits with 2. This file must run on
// old versions of Node.
import { nodeTooOld } from "../bin/node-version.mjs";

const problem = nodeTooOld({ install: "npm ci", again: "start it with npm" });
if (problem !== undefined) {
  console.error(problem);
  process.exitCode = 2;
}
