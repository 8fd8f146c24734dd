import { type ErrorLocation, MillraceError } from "../contract/errors.ts";
import { canonicalJson } from "../contract/json.ts";
import type { Offset } from "../contract/offset.ts";
import type { Ledger } from "./ports/ledger.ts";

/** Throws `OFFSET_TOO_LARGE` if the ledger cannot store an offset. `from` says who gave it. */
export function checkOffsetSize(
  { limits }: Pick<Ledger, "limits">,
  offset: Offset,
  from: string,
  where: ErrorLocation,
): void {
  const bytes = Buffer.byteLength(canonicalJson(offset));
  if (bytes <= limits.offsetBytes) return;
  throw new MillraceError(
    "OFFSET_TOO_LARGE",
    `${from} gave an offset of ${bytes} bytes of JSON; the ledger can store ${limits.offsetBytes}`,
    {
      where,
      hint: "Nothing was recorded. Let the offset say how far the source is, such as a number or a time, and keep longer lists where the source has its data.",
    },
  );
}
