import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { startFeed } from "../examples/earthquakes/feed.ts";
import { PACKAGE } from "../test/support/package.ts";
import { EARTHQUAKES, killTree, millrace, startMillrace } from "../test/support/process.ts";
import { ROOT } from "../test/support/root.ts";

/**
 * `npm run docs:picture`: draws docs/images/run.svg, the terminal in README.md. It runs the demo,
 * kills it in the middle of a batch, runs it again and counts the rows. The picture shows only real
 * output of the commands. The script fails if the second run did not resume the batch, or if a row
 * is lost or doubled.
 */

const PICTURE = join(ROOT, "docs/images/run.svg");
const ROWS = 1707;
/** The batch that the kill interrupts. */
const KILLED_BATCH = "batch 3:";

interface Line {
  readonly kind: "command" | "comment" | "output";
  readonly text: string;
}

const folder = realpathSync(mkdtempSync(join(tmpdir(), "millrace-picture-")));
mkdirSync(join(folder, "node_modules/.bin"), { recursive: true });
symlinkSync(PACKAGE, join(folder, "node_modules/millrace"));
symlinkSync(join(PACKAGE, "bin/millrace.mjs"), join(folder, "node_modules/.bin/millrace"));
copyFileSync(EARTHQUAKES, join(folder, "earthquakes.ts"));
// The latency makes the feed so slow that the kill happens between two tasks of one batch.
const feed = await startFeed({ latency: 150 });
const env = { EARTHQUAKES_URL: feed.url };
const run = ["run", "earthquakes.ts"];

const killed = startMillrace(run, env, folder);
while (!killed.stderr().includes(KILLED_BATCH)) await setTimeout(10);
await setTimeout(450);
killTree(killed.process);
const first = (await killed.ended).stderr;
const second = await millrace(run, env, folder);
await feed.close();

const lines: Line[] = [
  command("npx millrace run earthquakes.ts"),
  ...output(first),
  { kind: "comment", text: "# kill -9, in the middle of batch 3" },
  command("npx millrace run earthquakes.ts"),
  ...output(second.stderr),
  ...count("npx millrace cat earthquakes --json | wc -l", ROWS, "# rows: as many as the feed has"),
  ...count("npx millrace cat earthquakes --json | sort | uniq -d | wc -l", 0, "# rows that are there twice"),
];
if (!second.stderr.includes("batch 3, resumed"))
  throw new Error(`Batch 3 was not resumed:\n${second.stderr}`);
writeFileSync(PICTURE, drawTerminal(lines));
rmSync(folder, { recursive: true });
console.log(`${PICTURE}: ${lines.length} lines`);

function command(text: string): Line {
  return { kind: "command", text: `$ ${text}` };
}

function output(text: string): Line[] {
  return text
    .trimEnd()
    .split("\n")
    .map((line) => ({ kind: "output", text: line.replace(folder, "~/quakes") }));
}

/**
 * Runs a command that prints one number. Returns the lines of the command and its output; `comment`
 * explains the number.
 */
function count(text: string, expected: number, comment: string): Line[] {
  const { stdout } = spawnSync("sh", ["-c", text], { cwd: folder, encoding: "utf8" });
  if (Number(stdout) !== expected) throw new Error(`${text}: ${stdout}, expected ${expected}`);
  return [command(`${text}   ${comment}`), ...output(stdout.trim())];
}

/** Draws a terminal window as SVG. It follows the reader's light or dark mode. */
function drawTerminal(content: readonly Line[]): string {
  const lineHeight = 19;
  const top = 50;
  const width = 860;
  const height = top + content.length * lineHeight + 8;
  const texts = content.map(
    ({ kind, text }, i) =>
      `  <text x="20" y="${top + i * lineHeight}" class="${kind}">${escapeXml(text)}</text>`,
  );
  const buttons = [20, 38, 56].map((x) => `  <circle cx="${x}" cy="18" r="5"/>`);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">
  <title>A run of Millrace is killed and run again: no row is lost, none is doubled.</title>
  <style>
    rect { fill: #f6f8fa; stroke: #d1d9e0; }
    circle { fill: #d1d9e0; }
    text { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; white-space: pre; }
    .output { fill: #3d444d; }
    .command { fill: #0550ae; font-weight: bold; }
    .comment { fill: #c4342d; font-weight: bold; }
    @media (prefers-color-scheme: dark) {
      rect { fill: #151b23; stroke: #3d444d; }
      circle { fill: #3d444d; }
      .output { fill: #c9d1d9; }
      .command { fill: #79c0ff; }
      .comment { fill: #ff7b72; }
    }
  </style>
  <rect x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8"/>
${buttons.join("\n")}
${texts.join("\n")}
</svg>
`;
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
