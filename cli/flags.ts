import { type Command, InvalidArgumentError, Option } from "commander";
import { MillraceError } from "../shared/contract/errors.ts";
import { checkOffset, type Offset } from "../shared/contract/offset.ts";
import { checkStall } from "../shared/contract/pipeline.ts";

/** Flags that several commands have, and the parsers of their values. */

export const home = () =>
  new Option("--home <dir>", "folder of the ledger and the tables").default(".millrace");
export const json = () => new Option("--json", "one JSON object a line");

/** Adds the flags of a command that asks for confirmation. */
export function withConsentOptions(command: Command): Command {
  return command.option("--yes", "do not ask").option("--dry-run", "only show");
}

export function positive(text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number > 0) return number;
  throw new InvalidArgumentError("It must be a whole number from 1.");
}

export function natural(text: string): number {
  if (/^\d{1,12}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It must be a whole number from 0.");
}

export function duration(text: string): string {
  try {
    checkStall({ after: text });
    return text;
  } catch (error) {
    throw new InvalidArgumentError(MillraceError.is(error) ? (error.hint ?? error.message) : String(error));
  }
}

export function offset(text: string): Offset {
  try {
    return checkOffset(JSON.parse(text), "--to-offset");
  } catch {
    throw new InvalidArgumentError('It must be a JSON object, such as {"id":42}.');
  }
}

export function snapshotId(text: string): bigint {
  if (/^\d{1,19}$/.test(text)) return BigInt(text);
  throw new InvalidArgumentError("It must be the id of a snapshot, a whole number.");
}

/** Returns epoch milliseconds. A time without a zone would mean another one on each machine. */
export function timestamp(text: string): number {
  const isWhole = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})$/.test(text);
  const time = isWhole ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(time)) return time;
  throw new InvalidArgumentError("It must be a time with its zone, such as 2026-11-28T12:00:00Z.");
}

/** Returns the URL of a webhook. It is a secret, so the error does not repeat it. */
export function webhook(text: string): string {
  if (isWebhook(text)) return text;
  throw new InvalidArgumentError("It must be a URL that begins with https:// or http://.");
}

export function isWebhook(text: string): boolean {
  return /^https?:$/.test(URL.parse(text)?.protocol ?? "");
}
