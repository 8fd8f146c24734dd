import { listNames, MillraceError, show } from "../../contract/errors.ts";
import { isPlainObject, kindOf } from "../../contract/json.ts";
import { type JsonPath, pathSteps, showPath, valueAt } from "../kit/json-path.ts";
import { similarPath } from "../kit/similar-path.ts";
import type { Answer } from "./client.ts";
import type { SourceOptions } from "./options.ts";

/** The parts of an answer that matter to a list. Paths that are not set are `undefined`. */
export interface AnswerParts {
  readonly records: readonly unknown[];
  /** True if the answer has no JSON, so it cannot have the paths of `pagination` either. */
  readonly isBare: boolean;
  /** Whether pages follow, by `hasMorePath` or `isLastPath`. */
  readonly hasMore: boolean | undefined;
  /** The number of rows in the whole list. */
  readonly total: number | undefined;
  /** The number of pages in the whole list. */
  readonly totalPages: number | undefined;
}

/** Reads answers by the paths of the options. `name` is that of the request, for messages. */
export class AnswerReader {
  readonly #options: SourceOptions;
  readonly #answer: Answer;
  readonly #name: string;

  constructor(options: SourceOptions, answer: Answer, name: string) {
    this.#options = options;
    this.#answer = answer;
    this.#name = name;
  }

  /** Errors: `ANSWER_HAS_ERRORS`, `ROWS_NOT_FOUND`, `LIST_END_UNCLEAR`. */
  parts(): AnswerParts {
    this.#rejectErrors();
    const isBare = this.#answer.body === undefined || this.#answer.body === null;
    const { pagination } = this.#options;
    const said = isBare
      ? { hasMore: undefined, total: undefined, totalPages: undefined }
      : {
          hasMore: this.#hasMore(),
          total: this.#count("totalPath", pagination.totalPath),
          totalPages:
            pagination.type === "page" ? this.#count("totalPagesPath", pagination.totalPagesPath) : undefined,
        };
    const isEmptyList = said.total === 0 || said.totalPages === 0;
    return { records: this.#records(isEmptyList), isBare, ...said };
  }

  /** Lists the keys of the deepest object on a path that leads nowhere, for messages. */
  keys(path: JsonPath): string {
    let at: unknown = this.#answer.body;
    let place = "the answer";
    for (const step of pathSteps(path)) {
      if (!isPlainObject(at) || !isPlainObject(at[step])) break;
      at = at[step];
      place = JSON.stringify(step);
    }
    if (!isPlainObject(at)) return `${place} is ${kindOf(at)}`;
    const keys = Object.keys(at);
    return keys.length === 0 ? `${place} has no keys` : `${place} has the keys ${listNames(keys, 12)}`;
  }

  #rejectErrors(): void {
    const { errorsPath, rows, requestBody } = this.#options;
    const path = errorsPath ?? "errors";
    if (errorsPath === null || (errorsPath === undefined && (requestBody === undefined || rows === path)))
      return;
    const errors = valueAt(this.#answer.body, path);
    if (isNothing(errors) || errors === 0) return;
    throw new MillraceError(
      "ANSWER_HAS_ERRORS",
      `${this.#name} answered with errors at ${showPath(path)}: ${kindOf(errors)}`,
      {
        where: { url: this.#answer.url },
        retryable: true,
        hint: "An answer with errors may have fewer rows. Correct the request; if the API has something else at this path, set errorsPath.",
        found: show(errors),
      },
    );
  }

  #records(isEmptyList: boolean): readonly unknown[] {
    const { rows, missingRows } = this.#options;
    const { body, noContent } = this.#answer;
    const takesNothing = missingRows === "empty" || isEmptyList;
    const records = rows === undefined ? body : valueAt(body, rows);
    if (Array.isArray(records)) return records as readonly unknown[];
    if (body === null || records === null || (body === undefined && noContent)) return [];
    if (takesNothing && isNothing(records) && this.#similarRows() === undefined) return [];
    throw this.#noRows(records);
  }

  /** Returns the path of an array under a name that is similar to the one of the option `rows`. */
  #similarRows(): readonly string[] | undefined {
    const { rows } = this.#options;
    const { body } = this.#answer;
    const similar = rows === undefined ? undefined : similarPath(body, pathSteps(rows));
    return similar !== undefined && Array.isArray(valueAt(body, similar)) ? similar : undefined;
  }

  #noRows(found: unknown): MillraceError {
    const { rows } = this.#options;
    const { body, url } = this.#answer;
    const isAbsent = isNothing(found);
    const similar = this.#similarRows();
    const place = rows === undefined ? "the answer" : `${showPath(rows)} in the answer`;
    const more = rows !== undefined ? `; ${this.keys(rows)}` : "";
    return new MillraceError(
      "ROWS_NOT_FOUND",
      body === undefined
        ? `${this.#name} answered with an empty body, although its status does not say so`
        : `${this.#name}: ${place} is ${kindOf(found)}, not an array of records${more}`,
      {
        where: { url },
        hint: [
          `Set the option rows to the path of the array, such as ${similar === undefined ? '"features" or "data.items"' : showPath(similar)}.`,
          ...(isAbsent && !hasOtherRows(body)
            ? ['If the API answers like this when there are no rows, set `missingRows: "empty"`.']
            : []),
        ].join(" "),
      },
    );
  }

  #hasMore(): boolean | undefined {
    const { hasMorePath, isLastPath } = this.#options.pagination;
    const more = this.#boolean("hasMorePath", hasMorePath ?? undefined);
    const last = this.#boolean("isLastPath", isLastPath);
    if (more !== undefined && more === last) {
      throw this.#unclear(
        `${showPath(hasMorePath ?? "")} and ${showPath(isLastPath ?? "")} are both ${more}`,
        "Correct one of the paths.",
      );
    }
    return more ?? (last === undefined ? undefined : !last);
  }

  #boolean(option: string, path: JsonPath | undefined): boolean | undefined {
    if (path === undefined) return undefined;
    const value = this.#value(option, path);
    if (typeof value === "boolean") return value;
    throw this.#unclear(
      `${showPath(path)} is ${kindOf(value)}, not true or false`,
      `Correct ${option} in pagination.`,
    );
  }

  #count(option: string, path: JsonPath | undefined): number | undefined {
    if (path === undefined) return undefined;
    const value = this.#value(option, path);
    const count = typeof value === "string" && /^\d+$/.test(value) ? Number(value) : value;
    if (typeof count === "number" && Number.isSafeInteger(count) && count >= 0) return count;
    throw this.#unclear(
      `${showPath(path)} is ${kindOf(value)}, not a count`,
      `Correct ${option} in pagination.`,
    );
  }

  #value(option: string, path: JsonPath): unknown {
    const value = valueAt(this.#answer.body, path);
    if (value !== undefined) return value;
    throw this.#unclear(
      `${showPath(path)} is not in the answer, although ${option} names it; ${this.keys(path)}`,
      `Correct ${option} in pagination, or remove it if the API does not always answer with it.`,
    );
  }

  #unclear(problem: string, hint: string): MillraceError {
    return new MillraceError("LIST_END_UNCLEAR", `${this.#name}: ${problem}`, {
      where: { url: this.#answer.url },
      hint,
    });
  }
}

/** Returns true for values with which APIs say that there is nothing: no key, null, "", [], {}. */
function isNothing(value: unknown): boolean {
  if (value === undefined || value === null || value === "" || value === false) return true;
  if (Array.isArray(value)) return value.length === 0;
  return isPlainObject(value) && Object.keys(value).length === 0;
}

/** Returns true if an answer has objects in an array somewhere, which may be its rows. */
function hasOtherRows(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(isPlainObject);
  return isPlainObject(value) && Object.values(value).some(hasOtherRows);
}
