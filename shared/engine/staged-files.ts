import { MillraceError } from "../contract/errors.ts";
import { optional } from "../contract/optional.ts";
import { retry } from "../contract/retry.ts";
import type { DamagedFile, SupportsStagedFiles } from "../contract/stream-writer.ts";
import { batchLocation, type LostTask, type MessagesRead, messagesOf } from "./messages.ts";
import type { Batch } from "./ports/ledger.ts";
import type { Ports } from "./ports/runtime.ts";
import type { Task } from "./ports/tasks.ts";
import { STEP_RETRY } from "./retry.ts";
import type { CommitCall } from "./sink-commit.ts";

/**
 * Reads the commit messages of an attempt and lets the sink look for the staged files that
 * they name. `lost` are the tasks whose message or staged files are gone or damaged.
 */
export async function checkedMessages(
  ports: Ports,
  { batch, tasks }: { readonly batch: Batch; readonly tasks: readonly Task[] },
  { context, watch, asked }: Pick<CommitCall, "context" | "watch"> & { readonly asked: object },
): Promise<MessagesRead> {
  const read = await messagesOf(ports, batch, tasks);
  // A sink that cannot tell knows of no damaged file.
  const { findDamaged } = asked as Partial<SupportsStagedFiles<unknown>>;
  if (tasks.length === 0 || findDamaged === undefined) return read;
  const damaged = await retry(ports.runtime, { ...STEP_RETRY, attempts: 5 }, () =>
    watch.callSink("findDamaged()", batchLocation(batch), () =>
      findDamaged.call(asked, read.messages, context),
    ),
  );
  return { ...read, lost: [...read.lost, ...damaged.map((file) => lostFile(batch, file))] };
}

function lostFile(batch: Batch, { partition, path, problem }: DamagedFile): LostTask {
  const error = new MillraceError("STAGED_FILE_MISSING", `the staged file ${path} ${problem}`, {
    where: { ...batchLocation(batch), partition, path },
    hint: "Somebody deleted or changed it. Nothing is lost, and it is in no commit: the next `millrace run` writes the rows again.",
  });
  return { partition, error };
}

/**
 * Returns the warning that rows come again because of this error, and what is done about it:
 * `again`.
 */
export function lossWarning({ code, message, where }: MillraceError, again: string): MillraceError {
  return MillraceError.from({
    code,
    message: `${message}: ${again}`,
    where,
    hint: "Nothing is lost: no commit of the attempt was tried. Find out who deletes or changes files there.",
  });
}

/** Returns one error for all: the first, with the number of the others. */
export function lossOf(lost: readonly LostTask[]): MillraceError | undefined {
  const [first, ...others] = lost;
  if (first === undefined || others.length === 0) return first?.error;
  const { code, message, where, hint } = first.error;
  return MillraceError.from({
    code,
    message: `${message} (and ${others.length} other files)`,
    where,
    ...optional("hint", hint),
  });
}
