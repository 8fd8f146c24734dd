#!/usr/bin/env node
// This file must run on old versions of Node too, so that it can say which version is needed.
import { existsSync } from "node:fs";
import { nodeTooOld } from "./node-version.mjs";

const problem =
  nodeTooOld({ install: "npm install --save-dev node@24", again: "npx millrace" }) || notBuilt();
if (problem === undefined) await run();
else {
  console.error(problem);
  process.exitCode = 2;
}

/** Returns an error if `dist` is missing, as in a fresh clone of the repository. */
function notBuilt() {
  if (existsSync(new URL("../dist/cli/main.js", import.meta.url))) return undefined;
  return "error NOT_BUILT: the millrace command is not built\n  do:    npm run build";
}

async function run() {
  const { main } = await import("../dist/cli/main.js");
  await main(process.argv);
  // A timer of the user's code must not keep an ended run alive, but all output must be written.
  await Promise.all(
    [process.stdout, process.stderr].map((stream) => new Promise((done) => stream.write("", done))),
  );
  process.exit();
}
