import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ErrorMeaning } from "../shared/contract/error-codes/meaning.ts";
import { ERROR_SECTIONS } from "../shared/contract/error-codes.ts";

/**
 * Writes docs/errors.md from shared/contract/error-codes.ts. `--check` only compares the page with
 * the codes.
 */

const PAGE = join(import.meta.dirname, "../docs/errors.md");

const INTRO = `# Errors

<!-- Written by \`npm run docs:errors\` from shared/contract/error-codes.ts. -->

Every error of Millrace has a code, a message that says what happened, the place (pipeline, batch, partition, attempts,
row, field, URL), and what to do. Whatever the code: **nothing is lost**. What was committed stays, and the next run goes
on with the batch that was open. An error of your own may have a code of its own: \`MillraceError.from({ code, message })\`.

"Again" says whether the engine tries the same thing again by itself before it gives up. The traps of a source or a sink
are the \`problems\` of a \`CHECK_FAILED\`: [testing](testing.md).
`;

/** Returns the text of docs/errors.md for the current error codes. */
export function errorsPage(): string {
  const sections = Object.entries(ERROR_SECTIONS).map(
    ([title, codes]) => `## ${title}\n\n${table(Object.entries(codes))}\n`,
  );
  return [INTRO, ...sections].join("\n");
}

function table(codes: readonly (readonly [string, ErrorMeaning])[]): string {
  const areTriedAgain = codes.some(([, { again }]) => again !== undefined);
  const cells = codes.map(([code, { means, do: wayOut, again = "–" }]) => [
    `\`${code}\``,
    means,
    wayOut,
    ...(areTriedAgain ? [again] : []),
  ]);
  const head = ["code", "means", "do", ...(areTriedAgain ? ["again"] : [])];
  return [head, head.map(() => "---"), ...cells].map((row) => `| ${row.join(" | ")} |`).join("\n");
}

if (process.argv[1] === import.meta.filename) {
  if (!process.argv.includes("--check")) writeFileSync(PAGE, errorsPage());
  else if (readFileSync(PAGE, "utf8") !== errorsPage()) {
    console.error("docs/errors.md is not what shared/contract/error-codes.ts says: npm run docs:errors");
    process.exitCode = 1;
  }
}
