import type { Command } from "commander";
import { home, json, positive, snapshotId, timestamp, withConsentOptions } from "../flags.ts";
import { filesCommand, historyCommand, pathCommand, snapshotsCommand } from "./table.ts";
import { expireCommand, rollbackCommand } from "./table-changes.ts";

/** Adds `millrace table …`, the commands for Iceberg tables. */
export function addTableCommands(program: Command): void {
  const group = program.command("table").description("look into an Iceberg table, and keep it small");
  withTable(group, "history")
    .description("which snapshots were the current one, and who made them")
    .action(historyCommand);
  withTable(group, "snapshots").description("all snapshots with their figures").action(snapshotsCommand);
  withTable(group, "files")
    .description("the files of a snapshot, or those of an Arrow table")
    .option("--snapshot <id>", "instead of the current one", snapshotId)
    .option("--columns <names>", "show the bounds of these columns, as in id,place.x")
    .action(filesCommand);
  withTable(group, "path")
    .description("the current metadata file, which DuckDB and pyiceberg open")
    .action(pathCommand);
  withConsentOptions(withTable(group, "expire"))
    .description("remove old snapshots, and the files that only they need; without --yes only show")
    .option("--older-than <duration>", "only snapshots of that age (default: as the table says, else 5d)")
    .option("--keep <n>", "the newest ones that stay (default: as the table says, else 1)", positive)
    .action(async (table: string, flags) => {
      process.exitCode = await expireCommand(table, flags);
    });
  withConsentOptions(withTable(group, "rollback"))
    .description("make an earlier snapshot the current one")
    .option("--to-snapshot <id>", "this one", snapshotId)
    .option("--to-timestamp <time>", "the one that was current then, as 2026-11-28T12:00:00Z", timestamp)
    .action(async (table: string, flags) => {
      process.exitCode = await rollbackCommand(table, flags);
    });
}

function withTable(group: Command, name: string): Command {
  return group
    .command(name)
    .argument("<table>", "a pipeline, a table of the home's catalog, or a metadata file")
    .addOption(home())
    .addOption(json());
}
