#!/usr/bin/env node
// Must be read by any Node, to say which one it needs.
import { existsSync } from "node:fs";
import { nodeTooOld } from "./node-version.mjs";

const problem =
  nodeTooOld({ install: "npm install --save-dev node@24", again: "npx millrace" }) || notBuilt();
if (problem === undefined) await run();
else {
  console.error(problem);
  process.exitCode = 2;
}

/** In the repository, where nothing builds the command by itself. */
function notBuilt() {
  if (existsSync(new URL("../dist/cli/main.js", import.meta.url))) return undefined;
  return "error NOT_BUILT: the millrace command is not built\n  do:    npm run build";
}

async function run() {
  const { main } = await import("../dist/cli/main.js");
  await main(process.argv);
  // What the user's code left running, such as a timer, must not keep a run that has ended; what
  // was printed must get out.
  await Promise.all(
    [process.stdout, process.stderr].map((stream) => new Promise((done) => stream.write("", done))),
  );
  process.exit();
}
