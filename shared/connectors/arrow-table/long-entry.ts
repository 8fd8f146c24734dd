import type { ObjectStore } from "../../contract/object-store.ts";

/** A list in an entry whose elements are read one by one, and the text of the rest of the entry. */
export type EntryPart =
  | { readonly list: "add" | "remove"; readonly element: string }
  | { readonly rest: string };

/** Bytes of an entry that are read at once. An entry of that size or more is a long one. */
export const RANGE_BYTES = 8 * 1024 * 1024;

/**
 * Splits the text of a long log entry into the elements of `add` and `remove`, and the rest, in
 * which these lists are empty. An overwrite of a million files is too long to be parsed as a whole.
 * Text that is no JSON remains in one of the parts. Throws a `TypeError` if it is not UTF-8.
 */
export async function* splitEntry(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<EntryPart> {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const splitter = new Splitter();
  for await (const chunk of chunks) yield* splitter.take(decoder.decode(chunk, { stream: true }));
  yield* splitter.take(decoder.decode());
  yield { rest: splitter.rest };
}

/** Yields the bytes of an object in ranges, from `first` on, which holds its first range. */
export async function* rangesOf(
  table: ObjectStore,
  key: string,
  first: Uint8Array,
): AsyncGenerator<Uint8Array> {
  let at = 0;
  for (let chunk = first; chunk.length > 0; ) {
    yield chunk;
    at += chunk.length;
    if (chunk.length < RANGE_BYTES) return;
    chunk = (await table.getRange(key, at, at + RANGE_BYTES)) ?? new Uint8Array();
  }
}

/** A string, which may be cut off by the end of the text, or a bracket. */
const TOKEN = /"(?:[^"\\]|\\.)*(")?|[{}[\]]/gs;

type Place = "top" | "list" | "element";

class Splitter {
  /** The text outside of the elements. */
  rest = "";
  /** Text that is not taken yet, and where the scan of it goes on. */
  #text = "";
  #scanned = 0;
  #depth = 0;
  /** The last string of the top level. Before a list it is the list's name. */
  #name = "";
  #list: "add" | "remove" | undefined;

  *take(chunk: string): Generator<EntryPart> {
    this.#text += chunk;
    let from = 0;
    let end = this.#text.length;
    TOKEN.lastIndex = this.#scanned;
    for (let match = TOKEN.exec(this.#text); match !== null; match = TOKEN.exec(this.#text)) {
      const [token, quote] = match;
      if (token[0] === '"' && quote === undefined) {
        end = match.index;
        break;
      }
      const before = this.#place;
      this.#step(token);
      const after = this.#place;
      if (before === after) continue;
      const isPast = before === "element" || before === "top";
      const border = isPast ? match.index + 1 : match.index;
      const text = this.#text.slice(from, border);
      from = border;
      if (before === "element" && this.#list !== undefined) yield { list: this.#list, element: text };
      else this.#keep(text, before);
      // `step` is called for one token at a time, so the scan goes on behind it.
      TOKEN.lastIndex = match.index + token.length;
    }
    if (this.#place !== "element") {
      this.#keep(this.#text.slice(from, end), this.#place);
      from = end;
    }
    this.#text = this.#text.slice(from);
    this.#scanned = end - from;
  }

  get #place(): Place {
    if (this.#list === undefined) return "top";
    return this.#depth > 2 ? "element" : "list";
  }

  #step(token: string): void {
    if (token === "{" || token === "[") {
      this.#depth++;
      if (this.#depth === 2 && token === "[") this.#list = LISTS[this.#name];
    } else if (token === "}" || token === "]") {
      this.#depth--;
      if (this.#depth < 2) this.#list = undefined;
    } else if (this.#depth === 1) this.#name = token;
  }

  /** Keeps text of the rest. The commas between elements would make an empty list invalid. */
  #keep(text: string, place: Place): void {
    this.rest += place === "list" ? text.replace(/[\s,]+/g, "") : text;
  }
}

const LISTS: Readonly<Record<string, "add" | "remove">> = { '"add"': "add", '"remove"': "remove" };
