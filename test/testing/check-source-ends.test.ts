import { describe, expect, it } from "vitest";
import { DataSource } from "../../shared/contract/data-source.ts";
import { checkSource } from "../../shared/testing/index.ts";
import { codesOf, Good, problemsOf } from "./good-reader.ts";

describe("checkSource, of the ends that a source gives,", () => {
  it("names an end that follows the clock, whoever gives the time", async () => {
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

  it("does not accuse a source to which data arrives all the time, but one that gives any number", async () => {
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

  it("names the process's own clock, and a time as a string of digits", async () => {
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

  it("notes an end that is the present second: it leaves late rows no time", async () => {
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
