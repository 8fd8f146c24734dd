import { readFileSync } from "node:fs";
import { Command, CommanderError, Option } from "commander";
import { acceptCommand } from "./commands/accept.ts";
import { adoptCommand } from "./commands/adopt.ts";
import { backfillCommand } from "./commands/backfill.ts";
import { batchCommand, batchesCommand } from "./commands/batches.ts";
import { catCommand } from "./commands/cat.ts";
import { deployCommand } from "./commands/deploy.ts";
import { forgetCommand } from "./commands/forget.ts";
import { pauseCommand, resumeCommand } from "./commands/pause.ts";
import { quarantineCommand } from "./commands/quarantine.ts";
import { replayCommand } from "./commands/replay.ts";
import { rewindCommand } from "./commands/rewind.ts";
import { runCommand } from "./commands/run.ts";
import { schemaCommand } from "./commands/schema.ts";
import { skipCommand } from "./commands/skip.ts";
import { statusCommand } from "./commands/status.ts";
import { checkCommand } from "./commands/status-check.ts";
import { addTableCommands } from "./commands/table-group.ts";
import { unlockCommand } from "./commands/unlock.ts";
import { vacuumCommand } from "./commands/vacuum.ts";
import { EXIT, exitCodeOf } from "./exit-codes.ts";
import {
  duration,
  home,
  json,
  natural,
  offset,
  positive,
  snapshotId,
  webhook,
  withConsentOptions,
} from "./flags.ts";
import { processGuard } from "./process-guard.ts";
import { errorEvent, formatError } from "./render/error.ts";
import { printJson, printText, tellLine, tellText, watchOutput } from "./render/terminal.ts";

const EXIT_CODES = `
Exit codes: 0 fine, 1 failed (the next run goes on), 2 usage, 3 another run has the pipeline, 130 interrupted, 143 terminated.`;

const CHECK_EXIT_CODES = `
Exit codes with --check: 0 all is well, 10 rows in quarantine, 11 late, 12 paused, 13 failing; of several pipelines the highest.`;

/** Runs the command line and sets the process's exit code. */
export async function main(argv: readonly string[]): Promise<void> {
  // EPIPE means that the reader of stdout, such as `head`, has closed it. This is no error, unless
  // it cuts off a run. The next run then resumes the batch, as after a kill.
  watchOutput((error) => {
    processGuard.leave(
      error.code === "EPIPE" && !["run", "replay", "backfill"].includes(argv[2] ?? "")
        ? EXIT.ok
        : EXIT.failed,
    );
  });
  try {
    await processGuard.guard(
      () => program().parseAsync(argv),
      (error) => report(error, argv),
    );
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
      return;
    }
    report(error, argv);
    process.exitCode = exitCodeOf(error);
  }
}

function report(error: unknown, argv: readonly string[]): void {
  if (argv.includes("--json")) printJson(errorEvent(error));
  else tellLine(formatError(error));
}

function program(): Command {
  const { version } = JSON.parse(readFileSync(packageJson(), "utf8")) as { version: string };
  const command = new Command("millrace")
    .description("Copies rows from APIs, queues, files and databases into tables, each row exactly once")
    .version(version)
    .addHelpText("after", EXIT_CODES)
    .exitOverride()
    .configureOutput({ writeOut: printText, writeErr: tellText });

  addRunCommands(command);
  addBackfillCommand(command);
  addInspectCommands(command);
  addOperateCommands(command);
  addTableCommands(command);
  return command;
}

function addRunCommands(command: Command): void {
  withRunOptions(withTargetOptions(command.command("run")))
    .description(
      "run a pipeline here, on the ledger and the store in --home; or start a deployed one and follow it",
    )
    .argument(
      "[pipeline]",
      "the file whose default export is the pipeline, or the name of one that has run here or is deployed",
    )
    .option("--once", "one batch")
    .option("--available-now", "batches until all that was there at the start is read")
    .addOption(
      new Option("--every <interval>", "a batch at each interval, such as 10s, until stopped").conflicts(
        "stack",
      ),
    )
    .addHelpText("after", EXIT_CODES)
    .action(async (pipeline: string | undefined, flags) => {
      process.exitCode = await runCommand(pipeline, flags);
    });
  withRunOptions(withTargetOptions(command.command("replay")))
    .description("run the open batch again: same id, offsets and partitions")
    .argument("<pipeline>")
    .action(async (pipeline: string, flags) => {
      process.exitCode = await replayCommand(pipeline, flags);
    });
  command
    .command("deploy")
    .description("cdk deploy, with the AWS CDK of this project")
    .argument("[args...]", "after --: for cdk")
    .action(async (args: readonly string[]) => {
      process.exitCode = await deployCommand(args);
    });
}

function addBackfillCommand(command: Command): void {
  withRunOptions(withTargetOptions(command.command("backfill")))
    .description("read a range of a pipeline's source into its sink, beside the pipeline itself")
    .argument("<pipeline>", "the file that exports it, or its name")
    .requiredOption("--from <bound>", "where the range begins: a date or a time in UTC, or a whole number")
    .requiredOption("--to <bound>", "where it ends; that bound itself is not in it")
    .option("--chunk <length>", "how much one batch covers, such as 6h (default: 1d; needed for numbers)")
    .option("--again", "also if an earlier backfill has read some of the range")
    .option("--over-live", "also if the pipeline itself reads some of the range")
    .option("--why <text>", "for the journal")
    .option("--by <who>", "for the journal (default: user@host)")
    .addHelpText("after", EXIT_CODES)
    .action(async (pipeline: string, flags) => {
      process.exitCode = await backfillCommand(pipeline, flags);
    });
}

function addInspectCommands(command: Command): void {
  withTargetOptions(command.command("status"))
    .description("where a pipeline is, or all are")
    .argument("[pipeline]")
    .option("--check", "one line a pipeline, and an exit code for monitoring")
    .addOption(
      new Option("--late-after <duration>", "with --check: call a pipeline late that stood still for so long")
        .argParser(duration)
        .implies({ check: true }),
    )
    .addHelpText("after", CHECK_EXIT_CODES)
    .action(async (pipeline: string | undefined, { check, ...flags }) => {
      if (check) process.exitCode = await checkCommand(pipeline, flags);
      else await statusCommand(pipeline, flags);
    });
  withTargetOptions(command.command("batches"))
    .description("the newest batches of a pipeline, or of all")
    .argument("[pipeline]")
    .option("--limit <n>", "how many", positive, 20)
    .action(batchesCommand);
  withTargetOptions(command.command("batch"))
    .description("one batch and its tasks")
    .argument("<n>", "its id", natural)
    .argument("[pipeline]", "may be left out where there is one")
    .option("--limit <n>", "tasks at most", positive, 50)
    .action(batchCommand);
  command
    .command("schema")
    .description("the columns of a pipeline's rows, or a proposal from a sample of its source")
    .argument("<pipeline>", "the file that exports it, or its name")
    .addOption(home())
    .option("--infer", "read a sample of the source and propose a schema; records nothing")
    .option("--rows <n>", "rows of the sample at most", positive, 1000)
    .addOption(json())
    .action(schemaCommand);
  command
    .command("cat")
    .description("the rows of a table: Arrow tables and Iceberg tables")
    .argument("<table>", "a pipeline, an Arrow table's folder, or an Iceberg table or metadata file")
    .addOption(home())
    .option("--snapshot <id>", "of an Iceberg table: an earlier snapshot", snapshotId)
    .option("--limit <n>", "rows at most", positive)
    .addOption(json())
    .action(catCommand);
}

function addOperateCommands(command: Command): void {
  withJournalOptions(command.command("pause"))
    .description("let runs do nothing from their next batch on")
    .action(pauseCommand);
  withJournalOptions(command.command("resume")).description("let the next run go on").action(resumeCommand);
  withConsentOptions(withJournalOptions(command.command("rewind")))
    .description("move the offset: what comes after it is read again, and written again as new batches")
    .option("--to-batch <n>", "to where batch N began", natural)
    .option("--to-start", "to where the first batch began that the ledger knows")
    .option("--to-offset <json>", "to an offset of the source, which is tried first", offset)
    .option("--unchecked", "do not try that offset on the source")
    .action(async (pipeline: string, flags) => {
      process.exitCode = await rewindCommand(pipeline, flags);
    });
  withConsentOptions(withJournalOptions(command.command("unlock")))
    .description("take the lease away from a run that is certainly dead")
    .action(async (pipeline: string, flags) => {
      process.exitCode = await unlockCommand(pipeline, flags);
    });
  addRecoverCommands(command);
  withTargetOptions(command.command("quarantine"))
    .description("the rows that could not be written and are kept: show them, or send them again")
    .argument("<pipeline>", "its name")
    .option("--retry", "after a fix: send all of them again, in one batch")
    .option("--limit <n>", "rows at most (default: 20; all with --json)", positive)
    .addOption(maxConcurrency())
    .addOption(maxAttempts())
    .action(async (pipeline: string, flags) => {
      process.exitCode = await quarantineCommand(pipeline, flags);
    });
  withTargetOptions(command.command("vacuum"))
    .description("remove staged files that no commit names and no living batch needs")
    .argument("[pipeline]", "name or file (default: all)")
    .option("--older-than <duration>", "spare what is younger", "24h")
    .option("--dry-run", "only count")
    .action(vacuumCommand);
}

/** Commands that end what no run can end. */
function addRecoverCommands(command: Command): void {
  withConsentOptions(withJournalOptions(command.command("skip")))
    .description("end the open batch: finish it if it has landed, else leave its rows out")
    .option("--batch <n>", "only if this batch is open", natural)
    .option("--discard", "also if its rows are then nowhere")
    .action(async (pipeline: string, flags) => {
      process.exitCode = await skipCommand(pipeline, flags);
    });
  withConsentOptions(withJournalOptions(command.command("adopt")))
    .description("go on after the newest batch in the sink, where the ledger is older or was lost")
    .option("--from-start", "read all rows again instead")
    .option("--to-offset <json>", "go on at this offset instead, which is tried first", offset)
    .option("--unchecked", "do not try that offset on the source")
    .action(async (pipeline: string, flags) => {
      process.exitCode = await adoptCommand(pipeline, flags);
    });
  withConsentOptions(withJournalOptions(command.command("accept")))
    .description("let the next run have another file, source, sink or target under this name")
    .action(async (pipeline: string, flags) => {
      process.exitCode = await acceptCommand(pipeline, flags);
    });
  withConsentOptions(withJournalOptions(command.command("forget")))
    .description("remove what is known of one pipeline, but no rows")
    .action(async (pipeline: string, flags) => {
      process.exitCode = await forgetCommand(pipeline, flags);
    });
}

const maxConcurrency = () =>
  new Option("--max-concurrency <n>", "writer tasks at once (default: the cores)")
    .argParser(positive)
    .conflicts("stack");
const maxAttempts = () =>
  new Option("--max-attempts <n>", "attempts of a task").argParser(positive).default(3).conflicts("stack");
const speculate = () =>
  new Option("--speculate", "give a slow task a second attempt beside the first").conflicts("stack");
const stallAfter = () =>
  new Option("--stall-after <duration>", "report a partition that stands still for so long")
    .argParser(duration)
    .conflicts("stack");
const failStalled = () =>
  new Option("--fail-stalled", "fail the task of a partition that has stalled").conflicts("stack");

const noLog = () =>
  new Option("--no-log", "keep no log of the run in the home; also MILLRACE_LOG=off").conflicts("stack");

const onFailure = () =>
  new Option(
    "--on-failure <command>",
    "when a batch or the run fails, run this with the failure as JSON on its stdin; also MILLRACE_ON_FAILURE",
  ).conflicts("stack");
const onFailureUrl = () =>
  new Option("--on-failure-url <url>", "post the same JSON to a webhook; also MILLRACE_ON_FAILURE_URL")
    .argParser(webhook)
    .conflicts("stack");

/** Adds the flags of commands that run batches, which they have only for runs on this machine. */
function withRunOptions(command: Command): Command {
  return command
    .addOption(maxConcurrency())
    .addOption(maxAttempts())
    .addOption(speculate())
    .addOption(stallAfter())
    .addOption(failStalled())
    .addOption(noLog())
    .addOption(onFailure())
    .addOption(onFailureUrl());
}

/** Adds the flags that choose a home, a stack or a table. */
function withTargetOptions(command: Command): Command {
  return command
    .addOption(home().conflicts(["stack", "table"]))
    .addOption(
      new Option("--stack <name>", "the CloudFormation stack of a deployed pipeline").conflicts("table"),
    )
    .addOption(new Option("--table <name>", "the DynamoDB table of the ledger"))
    .addOption(json());
}

/**
 * Adds the arguments of a command that changes a pipeline by hand. The pipeline's journal records
 * the change.
 */
function withJournalOptions(command: Command): Command {
  return withTargetOptions(command.argument("<pipeline>"))
    .option("--why <text>", "for the journal")
    .option("--by <who>", "for the journal (default: user@host)");
}

/**
 * Returns the URL of package.json, which is two folders up in the package (dist/cli) and one in the
 * repository (cli).
 */
function packageJson(): URL {
  return new URL(import.meta.url.endsWith(".ts") ? "../package.json" : "../../package.json", import.meta.url);
}
