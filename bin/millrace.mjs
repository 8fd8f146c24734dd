#!/usr/bin/env node
// This file must run on old versions of Node too, so that it can say which version is needed.
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
  // Exit even if the user's code left something running, such as a timer, but flush the output
  // first.
  await Promise.all(
    [process.stdout, process.stderr].map((stream) => new Promise((done) => stream.write("", done))),
  );
  process.exit();
}
