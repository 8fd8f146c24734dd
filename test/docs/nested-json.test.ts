import { describe, expect, it } from "vitest";
import { Page } from "../support/page.ts";

const PAGE = new Page("docs/nested-json.md");

describe("the page on nested JSON", () => {
  it("Nested JSON is kept, taken apart, and its new fields are told, as the page shows", async () => {
    const user = PAGE.folder();
    await user.run(PAGE.commands());
    const kept = await user.run(PAGE.commands("Keep it"));
    expect(kept).toMatch(
      /^\.schema\("id bigint, customer struct<name:string,address:struct<city:string>>, /m,
    );
    expect(kept).toContain(PAGE.outputs("Keep it")[0]);
    expect(await user.run(PAGE.commands("Take it apart"))).toContain(PAGE.outputs("Take it apart")[0]);
    expect(await user.run(PAGE.commands("New fields"))).toContain(PAGE.outputs("New fields")[0]);
  });

  it("A field inside of a struct is added as the page says", async () => {
    const user = PAGE.folder();
    await user.run(`${PAGE.commands()}\nnpx millrace run orders.ts`);
    const edits = [
      "s/city: string/city: string, zip: string/",
      's/format(ArrowTable)/&.onSchemaChange("evolve")/',
    ];
    for (const edit of edits) await user.run(`sed -i '${edit}' orders.ts`);
    const order = { id: 3, customer: { name: "Cy", address: { city: "Ulm", zip: "89073" } } };
    await user.run(`echo '${JSON.stringify(order)}' > landing/2.jsonl\nnpx millrace run orders.ts`);
    const rows = await user.run("npx millrace cat orders --json");
    expect(rows).toContain('"address":{"city":"London","zip":null}');
    expect(rows).toContain('"address":{"city":"Ulm","zip":"89073"}');
  });
});
