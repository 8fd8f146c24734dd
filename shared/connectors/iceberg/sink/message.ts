import { MillraceError } from "../../../contract/errors.ts";
import { type DataFileJson, dataFileJson, dataFileOf } from "../files/data-file-json.ts";
import { partitionTypes } from "../format/partition-spec.ts";
import type { DataFile } from "../format/types.ts";
import type { WritePlan } from "./write-plan.ts";

/** The commit message of a task: its data files, with all that a manifest says about them. */
export interface FilesMessage {
  readonly tableUuid: string;
  readonly location: string;
  /** Present if the catalog vends the credentials for the files. */
  readonly isVended?: true;
  readonly files: readonly DataFileJson[];
}

/** Returns the commit message of a task. */
export function messageOf(plan: WritePlan, files: readonly DataFile[]): FilesMessage {
  const types = partitionTypes(plan.spec, plan.schema);
  return {
    tableUuid: plan.tableUuid,
    location: plan.location,
    ...(plan.isVended ? { isVended: true } : {}),
    files: files.map((file) => dataFileJson(file, types)),
  };
}

/** Returns the data files of the messages, in the order of the tasks. Throws `TABLE_REPLACED`. */
export function filesOfMessages(plan: WritePlan, messages: readonly (FilesMessage | null)[]): DataFile[] {
  const types = partitionTypes(plan.spec, plan.schema);
  return messages.flatMap((message) => {
    if (message === null) return [];
    if (message.tableUuid === plan.tableUuid) return message.files.map((file) => dataFileOf(file, types));
    throw new MillraceError("TABLE_REPLACED", `a task wrote to another table, at ${message.location}`, {
      where: { path: plan.location },
      hint: "Nothing was committed. The next `millrace run` plans the batch again.",
    });
  });
}

/** A file that a message names, without what a manifest says about it. */
export interface NamedFile {
  readonly path: string;
  readonly bytes: number;
}

/** Returns the names and sizes of the files of a message. */
export function namedFiles(message: FilesMessage | null): readonly NamedFile[] {
  return message?.files ?? [];
}
