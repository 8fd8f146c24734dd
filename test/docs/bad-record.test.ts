import { expect, it } from "vitest";
import { Page } from "../support/page.ts";

const PAGE = new Page("docs/bad-record.md");

it("The commands of the page on a bad record find it, go on without it, and send it again", async () => {
  const user = PAGE.folder();
  expect(await user.run(PAGE.commands())).toContain("batch 0 aborted");
  const look = await user.run(PAGE.commands("1. Look"));
  for (const line of PAGE.outputs("1. Look")[0]?.trimEnd().split("\n") ?? []) expect(look).toContain(line);
  PAGE.save(user, "orders.ts", 1);
  const aside = await user.run(PAGE.commands("2. Go on without it"));
  expect(aside).toContain("batch 0 committed: 2 rows");
  expect(aside).toContain(PAGE.outputs("2. Go on without it")[0]);
  expect(aside).toContain("exit code 10");
  PAGE.save(user, "orders.ts", 2);
  const again = await user.run(PAGE.commands("3. Fix it, and send it again"));
  expect(again).toContain("no row is in quarantine");
  expect(again).toContain(PAGE.outputs("3. Fix it, and send it again")[0]);
});
