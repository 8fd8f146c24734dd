import { type BadContent, BadRow, type BadRowSink } from "../../contract/bad-rows.ts";
import { type ErrorLocation, type ErrorRecord, MillraceError } from "../../contract/errors.ts";
import { optional } from "../../contract/optional.ts";

/** Where a row was found in the source, whatever reads it again. */
type Place = Pick<ErrorLocation, "path" | "url" | "row">;

/** Keeps the places of quarantined rows while they are sent again, for those that fail again. */
export class Places {
  readonly #places = new WeakMap<object, Place>();

  /** Returns the item. Its place is known from now on, if it is an object. */
  add(item: unknown, reason: ErrorRecord): unknown {
    const place = placeOf(reason);
    if (BadRow.is(item)) return new BadRow(placed(item.error, place), item.content);
    if (typeof item === "object" && item !== null) this.#places.set(item, place);
    return item;
  }

  /** Returns a sink that gives `sink` the errors with the places of their rows. */
  before(sink: BadRowSink): BadRowSink {
    return {
      add: (error, content) => {
        const place = this.#placeOf(content);
        sink.add(place === undefined ? error : placed(error, place), content);
      },
    };
  }

  #placeOf(content: BadContent): Place | undefined {
    const row = "row" in content ? content.row : undefined;
    return typeof row === "object" && row !== null ? this.#places.get(row) : undefined;
  }
}

/** Returns a sink that gives `sink` the errors of what is read again of one kept row. */
export function sinkAt(sink: BadRowSink | undefined, reason: ErrorRecord): BadRowSink | undefined {
  return sink && { add: (error, content) => sink.add(placed(error, placeOf(reason)), content) };
}

/** Returns where a kept row was found. */
export function placeOf({ where = {} }: ErrorRecord): Place {
  const { path, url, row } = where;
  return { ...optional("path", path), ...optional("url", url), ...optional("row", row) };
}

/** The number of a row that is sent again says nothing to anybody, so its place replaces it. */
function placed(error: MillraceError, place: Place): MillraceError {
  const { code, hint, found, retryable, cause, where } = error;
  const number = `row ${where.row}`;
  const message =
    place.row !== undefined && error.message.startsWith(`${number}, `)
      ? `row ${place.row}${error.message.slice(number.length)}`
      : error.message;
  return MillraceError.from({ code, message, hint, found, retryable, cause, where: { ...where, ...place } });
}
