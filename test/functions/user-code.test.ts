import { expect, it } from "vitest";
import { invoke } from "./bundled.ts";

/** Runs the vacuum function with this code in the source's constructor. */
const vacuumWith = (code: string) =>
  invoke(
    "vacuum",
    `class Source extends millrace.DataSource { constructor(...args) { super(...args); ${code} } schema() { return "n int"; } }
export default millrace.pipeline("shop").readStream.format(Source).writeStream.format(Source);`,
    {},
    false,
  );

it("A function whose pipeline calls process.exit fails with an error that names the call", async () => {
  const { status, answer } = await vacuumWith("process.exit(0);");
  expect(status).toBe(0);
  expect(answer?.name).toBe("Millrace.Final");
  expect(answer?.message).toMatch(/^PROCESS_EXIT: .*process\.exit\(0\).*pipeline shop/);
});

it("A function whose pipeline forgets a rejected promise fails with an error that names it", async () => {
  const { status, answer, logs } = await vacuumWith('void Promise.reject(new TypeError("secret words"));');
  expect(status).toBe(0);
  expect(answer?.name).toBe("Millrace.Retryable");
  expect(answer?.message).toMatch(/^UNCAUGHT_ERROR: .*TypeError.*pipeline shop/);
  expect(logs).toContain('"code":"UNCAUGHT_ERROR"');
  expect(logs).not.toContain("secret words");
});

it("Log lines of a function have no raw control and no mark that turns the direction", async () => {
  const { logs } = await vacuumWith(
    'throw Object.assign(new Error("x"), { kind: "millrace.error", code: "C", where: {}, message: "a\\u001b[2Jb\\u009b31mc\\u202ed", with() { return this; }, toRecord() { return { code: "C", message: this.message, where: {} }; } });',
  );
  expect(logs).toContain("a\\u001b[2Jb\\\\u009b31mc");
  expect(logs).not.toMatch(/[^\P{Cc}\n]|\p{Bidi_Control}/u);
});
