import { offerPostgres } from "../postgres/shared.ts";
// Compiles the package before the first test file needs it.
import "./package.ts";

/** What the test files of `npm run test:processes` share: one build, and one PostgreSQL. */
export async function setup(): Promise<() => Promise<void>> {
  return await offerPostgres();
}
