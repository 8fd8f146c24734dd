#!/usr/bin/env node
// Must run on any Node, to say which one it needs.
const REQUIRED = 24;
if (Number(process.versions.node.split(".")[0]) < REQUIRED) {
  console.error(
    "millrace: needs Node " +
      REQUIRED +
      " or newer, this is " +
      process.version +
      ": run `npm i -D node@" +
      REQUIRED +
      "` in your project, then npx millrace",
  );
  process.exitCode = 2;
} else {
  const { main } = await import("../dist/cli/main.js");
  await main(process.argv);
  // A timer of the user's code must not keep an ended run alive, but all output must be written.
  await Promise.all(
    [process.stdout, process.stderr].map((stream) => new Promise((done) => stream.write("", done))),
  );
  process.exit();
}
