import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { formatError } from "../../cli/render/error.ts";
import { describeEvent } from "../../cli/render/event.ts";
import { plainText, printable, type Text } from "../../cli/render/terminal.ts";
import { escapeControls } from "../../shared/contract/controls.ts";
import { MillraceError } from "../../shared/contract/errors.ts";
import { ROOT } from "../support/root.ts";

const HOSTILE = "a\u001b[2Jb\u009b31mc\u0007d\u202ee\u2066f\u061cg\u200fh\u2028i\rj\u0000k\u007fl";
const ESCAPED =
  "a\\u001b[2Jb\\u009b31mc\\u0007d\\u202ee\\u2066f\\u061cg\\u200fh\\u2028i\\u000dj\\u0000k\\u007fl";

describe("the terminal", () => {
  it("Controls and marks that turn the direction of text are escaped, and other text stays as it is", () => {
    expect(escapeControls(HOSTILE)).toBe(ESCAPED);
    expect(escapeControls("Zürich\n東京 👩‍👩‍👧 العربية")).toBe("Zürich\n東京 👩‍👩‍👧 العربية");
    expect(printable("two\nlines\tof text")).toBe("two\\nlines\\tof text");
  });

  it("JSON text whose controls were escaped has the same value as before", () => {
    const value = { [HOSTILE]: [HOSTILE] };
    const text = escapeControls(JSON.stringify(value));
    expect(JSON.parse(text)).toEqual(value);
    expect(text).not.toMatch(/\p{Cc}|\p{Bidi_Control}/u);
  });

  it.each<[string, Text]>([
    [
      "an event",
      describeEvent({ type: "started", pipeline: HOSTILE, trigger: HOSTILE, home: HOSTILE }) ?? "",
    ],
    [
      "an error",
      formatError(
        MillraceError.from({
          code: HOSTILE,
          message: HOSTILE,
          where: { path: HOSTILE, field: HOSTILE, url: HOSTILE },
          hint: HOSTILE,
          found: HOSTILE,
          cause: new Error(HOSTILE),
        }),
      ),
    ],
    ["an error of another kind", formatError(new Error(HOSTILE))],
  ])(
    "No control of an outside text reaches the terminal in %s, with and without colours",
    async (_, text) => {
      for (const colours of ["0", "1"]) {
        const printed = await printedTo("stderr", colours, text);
        // biome-ignore lint/suspicious/noControlCharactersInRegex: it removes the styles of Millrace
        const plain = printed.replace(/\u001b\[\d{1,2}m/g, (style) => (colours === "1" ? "" : style));
        expect(plain).not.toMatch(/[^\P{Cc}\n]|\p{Bidi_Control}/u);
        expect(plain.trimEnd()).toBe(escapeControls(plainText(text)));
      }
    },
  );

  it("Only one module of the command and the runner writes to stdout or stderr", () => {
    const folders = ["cli", "local", "shared", "functions", "infra"];
    const files = folders.flatMap((folder) =>
      readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
        .filter((name) => /\.[cm]?ts$/.test(name))
        .map((name) => `${folder}/${name.replaceAll("\\", "/")}`),
    );
    const writing = files.filter((file) =>
      /process\.std(out|err)|console\.|process\["std|from "node:tty"/.test(
        readFileSync(join(ROOT, file), "utf8"),
      ),
    );
    expect(writing.sort()).toEqual([
      "cli/person.ts", // readline asks a fixed question
      "cli/render/terminal.ts",
      "local/describe-pipeline.ts", // its stdout is a pipe to the construct
      "local/worker.ts", // sends stdout of the user's code to stderr
    ]);
  });
});

/** Returns what `tellLine` or `printLine` writes, with colours or without. */
async function printedTo(stream: "stderr", colours: string, text: Text): Promise<string> {
  let written = "";
  vi.resetModules();
  vi.stubEnv("FORCE_COLOR", colours);
  vi.stubEnv("NO_COLOR", undefined);
  const spy = vi.spyOn(process[stream], "write").mockImplementation((chunk) => {
    written += String(chunk);
    return true;
  });
  try {
    const { tellLine } = await import("../../cli/render/terminal.ts");
    tellLine(text);
  } finally {
    spy.mockRestore();
    vi.unstubAllEnvs();
  }
  return written;
}
