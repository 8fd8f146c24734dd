import { isPlainObject } from "../../../../contract/json.ts";
import { parseJson } from "../../format/json.ts";

/** Longest text of a catalog in an error's message. */
const LONGEST = 300;

/** The answer of a REST catalog. */
export interface RestAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** What the body of an error says. Proxies and servlet containers answer with HTML instead. */
export interface RestProblem {
  /** Iceberg's type, such as `NoSuchTableException`, or that of AWS. Empty if there is none. */
  readonly type: string;
  readonly message: string;
}

/** Returns the JSON value of the body, or `undefined` if the body is not JSON. */
export function jsonOf({ text }: RestAnswer): unknown {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}

export function problemOf(answer: RestAnswer): RestProblem {
  const body = jsonOf(answer);
  if (!isPlainObject(body)) return { type: "", message: oneLine(answer.text.replaceAll(/<[^>]*>/g, " ")) };
  const error = isPlainObject(body["error"]) ? body["error"] : body;
  const message = [error["message"], error["Message"], error["error_description"], body["error"]].find(
    (text) => typeof text === "string",
  );
  const type = [error["type"], error["__type"], answer.headers.get("x-amzn-errortype")].find(
    (text) => typeof text === "string",
  );
  return { type: String(type ?? ""), message: oneLine(String(message ?? "")) };
}

function oneLine(text: string): string {
  const line = text.replaceAll(/[\s\p{Cc}]+/gu, " ").trim();
  return line.length > LONGEST ? `${line.slice(0, LONGEST - 1)}…` : line;
}

/**
 * True if a 404 says that a table or a namespace does not exist. One without a reason may come from
 * a proxy, or from a server that is no catalog.
 */
export function saysMissing(answer: RestAnswer): boolean {
  const { type, message } = problemOf(answer);
  if (answer.status !== 404) return false;
  if (type !== "") return /NoSuch(?:Table|Namespace|View)|NotFound/i.test(type);
  return isPlainObject(jsonOf(answer)) && /does not exist|not found|no such/i.test(message);
}
