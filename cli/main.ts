import { readFileSync } from "node:fs";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { catCommand } from "./commands/cat.ts";
import { batchesCommand, statusCommand } from "./commands/ledger.ts";
import { runCommand } from "./commands/run.ts";
import { vacuumCommand } from "./commands/vacuum.ts";
import { EXIT, exitCodeOf } from "./exit-codes.ts";
import { errorEvent, formatError } from "./render/error.ts";

const EXIT_CODES = `
Exit codes: 0 fine, 1 failed (the next run goes on), 2 usage, 3 another run has the pipeline, 130 interrupted, 143 terminated.`;

/** Runs the command line; sets the process's exit code. */
export async function main(argv: readonly string[]): Promise<void> {
  // A reader that has seen enough, such as `head`, is no error, unless a run is cut off; that is resumed as after a kill.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    process.exit(error.code === "EPIPE" && argv[2] !== "run" ? EXIT.ok : EXIT.failed);
  });
  try {
    await program().parseAsync(argv);
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
      return;
    }
    if (argv.includes("--json")) process.stdout.write(`${JSON.stringify(errorEvent(error))}\n`);
    else process.stderr.write(`${formatError(error, process.stderr)}\n`);
    process.exitCode = exitCodeOf(error);
  }
}

function program(): Command {
  const { version } = JSON.parse(readFileSync(packageJson(), "utf8")) as { version: string };
  const home = () => new Option("--home <dir>", "folder of the ledger and the tables").default(".millrace");
  const json = () => new Option("--json", "one JSON object a line");
  const command = new Command("millrace")
    .description("Spark's data source contract for TypeScript: exactly-once micro-batches")
    .version(version)
    .addHelpText("after", EXIT_CODES)
    .exitOverride();

  command
    .command("run")
    .description("run a pipeline here, on the ledger and the store in --home")
    .argument("<pipeline.ts>", "the file whose default export is the pipeline")
    .addOption(home())
    .option("--once", "one batch")
    .option("--available-now", "batches until all that was there at the start is read")
    .option("--every <interval>", "a batch at each interval, such as 10s, until stopped")
    .option("--max-concurrency <n>", "writer tasks at once (default: the cores)", positive)
    .option("--max-attempts <n>", "attempts of a task", positive, 3)
    .addOption(json())
    .addHelpText("after", EXIT_CODES)
    .action(async (entry: string, flags) => {
      process.exitCode = await runCommand(entry, flags);
    });
  command
    .command("batches")
    .description("the newest batches of a pipeline, or of all")
    .argument("[pipeline]")
    .addOption(home())
    .option("--limit <n>", "how many", positive, 20)
    .addOption(json())
    .action(batchesCommand);
  command
    .command("status")
    .description("where a pipeline is, or all are")
    .argument("[pipeline]")
    .addOption(home())
    .addOption(json())
    .action(statusCommand);
  command
    .command("cat")
    .description("the rows of an Arrow table, in the order of its commits")
    .argument("<table>", "the table's folder, or a pipeline's name")
    .addOption(home())
    .option("--limit <n>", "rows at most", positive)
    .addOption(json())
    .action(catCommand);
  command
    .command("vacuum")
    .description("remove staged files that no commit names and no living batch needs")
    .argument("[pipeline]", "name or file (default: all that have run here)")
    .addOption(home())
    .option("--older-than <duration>", "spare what is younger", "24h")
    .option("--dry-run", "only count")
    .addOption(json())
    .action(vacuumCommand);
  return command;
}

/** Two folders up in the package (dist/cli), one in the repository (cli). */
function packageJson(): URL {
  return new URL(import.meta.url.endsWith(".ts") ? "../package.json" : "../../package.json", import.meta.url);
}

function positive(text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number > 0) return number;
  throw new InvalidArgumentError("It must be a whole number from 1.");
}
