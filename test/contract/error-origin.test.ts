import { describe, expect, it } from "vitest";
import { originOf } from "../../shared/contract/error-origin.ts";
import { MillraceError, toMillraceError } from "../../shared/contract/errors.ts";

const failed = (cause: unknown) => toMillraceError(cause, "SOURCE_FAILED", "read() failed", {});

describe("originOf", () => {
  it("The origin of an error has the code of its innermost cause, as fetch hides it", () => {
    const refused = Object.assign(new Error("connect 10.0.0.1"), { code: "ECONNREFUSED" });
    const thrown = new TypeError("fetch failed", { cause: refused });
    expect(originOf(thrown)).toMatchObject({ name: "Error", code: "ECONNREFUSED" });
  });

  it("The origin of an error has the SQLSTATE and the status that other packages keep", () => {
    expect(originOf(Object.assign(new Error("duplicate key"), { code: "23505" }))?.code).toBe("23505");
    expect(originOf(Object.assign(new Error("no"), { response: { status: 401 } }))?.status).toBe(401);
    expect(originOf(Object.assign(new Error("no"), { $metadata: { httpStatusCode: 503 } }))?.status).toBe(
      503,
    );
  });

  it("The origin of an error has its class and the frames of the user's code, and none of its words", () => {
    const message = "row of Ann\n    at Ann (/home/ann/secret.ts:1:1)";
    const { origin } = failed(new RangeError(message));
    expect(origin?.name).toBe("RangeError");
    expect(origin?.frames?.[0]).toMatch(/error-origin\.test\.ts:\d+:\d+/);
    expect(JSON.stringify(failed(new RangeError(message)))).not.toContain("secret.ts");
    expect(JSON.stringify(origin)).not.toContain("Ann");
  });

  it("A code that may be words of the user is no code", () => {
    const origin = originOf(Object.assign(new Error("no"), { code: "Ann Miller, 17 Main Street" }));
    expect(origin).not.toHaveProperty("code");
  });

  it("The origin of what is no error is the kind of the value", () => {
    expect(originOf("words")).toEqual({ name: "a string of 5 characters" });
    expect(originOf(undefined)).toBeUndefined();
  });

  it("The origin survives the ledger, another thread and a chain of causes that is a circle", () => {
    const error = failed(Object.assign(new Error("no"), { code: "EPIPE" }));
    expect(MillraceError.from(error.toRecord()).origin).toEqual(error.origin);
    const circle = new Error("first");
    circle.cause = new Error("second", { cause: circle });
    expect(originOf(circle)?.name).toBe("Error");
  });
});
