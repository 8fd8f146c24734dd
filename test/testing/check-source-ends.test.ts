import { describe, expect, it } from "vitest";
import { DataSource } from "../../shared/contract/data-source.ts";
import { checkSource } from "../../shared/testing/index.ts";
import { codesOf, Good, problemsOf } from "./good-reader.ts";

describe("checkSource and the ends of a source", () => {
  it("checkSource names an end that follows the clock, whichever clock the source uses", async () => {
    class OfDate extends Good {
      override latestOffset() {
        return { n: Date.now() };
      }
    }
    class OfRuntime extends DataSource {
      override schema() {
        return "time timestamp";
      }
      override streamReader() {
        const now = () => this.runtime.now();
        return new (class extends Good {
          override initialOffset() {
            return { n: now() - 60_000 };
          }
          override latestOffset() {
            return { n: now() };
          }
        })();
      }
    }
    expect(await codesOf(() => new OfDate())).toEqual(["OFFSET_NOT_STABLE"]);
    const [problem] = await problemsOf(OfRuntime);
    expect(problem).toMatchObject({
      code: "OFFSET_NOT_STABLE",
      message: expect.stringContaining("it follows the clock"),
      hint: expect.stringContaining("round it down"),
    });
  });

  it("checkSource accepts a source with constant arrivals and names one with a random end", async () => {
    let count = 0;
    class Live extends Good {
      override latestOffset() {
        return { n: count++ };
      }
    }
    expect((await checkSource(() => new Live())).notChecked).toEqual([
      expect.stringContaining("latestOffset() grows while it is asked"),
    ]);
    class Chance extends Good {
      override latestOffset() {
        return { n: Math.floor(Math.random() * 1e6) + 1 };
      }
    }
    const [problem] = await problemsOf(() => new Chance());
    expect(problem).toMatchObject({ code: "OFFSET_NOT_STABLE", message: expect.stringContaining("chance") });
  });

  it("checkSource names the process's own clock, and a time as a string of digits", async () => {
    class Monotonic extends Good {
      override latestOffset() {
        return { n: performance.now() };
      }
    }
    class Digits extends Good {
      override latestOffset() {
        return { n: String(Date.now()) } as never;
      }
    }
    expect((await codesOf(() => new Monotonic()))[0]).toBe("OFFSET_NOT_STABLE");
    expect((await codesOf(() => new Digits()))[0]).toBe("OFFSET_NOT_STABLE");
  });

  it("checkSource notes an end in the present second, which leaves late rows no time", async () => {
    class Rounded extends Good {
      override initialOffset() {
        return { n: Math.floor(Date.now() / 1000) - 60 };
      }
      override latestOffset() {
        return { n: Math.floor(Date.now() / 1000) };
      }
    }
    expect((await checkSource(() => new Rounded())).notChecked).toContainEqual(
      expect.stringContaining("the end is the present second"),
    );
  });
});
