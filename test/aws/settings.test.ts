import { describe, expect, it } from "vitest";
import {
  type FunctionSettings,
  formatSettings,
  parseSettings,
  SETTINGS,
  VARIABLE_PREFIX,
} from "../../shared/aws/settings.ts";

const ALL: FunctionSettings = {
  pipeline: "orders",
  table: "ledger",
  bucket: "store",
  prefix: "orders",
  trigger: "once",
  leaseMilliseconds: 60_000,
  executionMilliseconds: 1500,
  distributeAbove: Number.POSITIVE_INFINITY,
  maxAttempts: 3,
  stallAfterMilliseconds: 90_000,
  failStalled: false,
  secrets: { TOKEN: { secret: "arn", field: "token" }, KEY: { parameter: "/key" } },
};

const NOT_SET = {
  trigger: undefined,
  stallAfterMilliseconds: undefined,
  failStalled: undefined,
  secrets: {},
};

describe("the settings of a function", () => {
  it("The settings of a function are read as they were written, each in a variable of its own", () => {
    const variables = formatSettings(ALL);
    expect(parseSettings(variables)).toEqual(ALL);
    expect(Object.keys(variables)).toHaveLength(Object.keys(SETTINGS).length);
    for (const name of Object.keys(variables)) expect(name.startsWith(VARIABLE_PREFIX)).toBe(true);
  });

  it("An optional setting that is not set has no variable", () => {
    const settings = { ...ALL, ...NOT_SET };
    const variables = formatSettings(settings);
    expect(parseSettings(variables)).toEqual(settings);
    for (const name of ["trigger", "stallAfterMilliseconds", "failStalled", "secrets"] as const)
      expect(variables).not.toHaveProperty(SETTINGS[name].variable);
  });

  it("A required setting that is missing or empty is an error that names the variable", () => {
    const { variable } = SETTINGS.table;
    for (const value of [undefined, ""])
      expect(() => parseSettings({ ...formatSettings(ALL), [variable]: value })).toThrow(
        expect.objectContaining({ code: "SETTING_MISSING", message: expect.stringContaining(variable) }),
      );
  });

  it("The settings have no trigger if their variable holds an unknown one", () => {
    const variables = { ...formatSettings(ALL), [SETTINGS.trigger.variable]: "sometimes" };
    expect(parseSettings(variables).trigger).toBeUndefined();
  });

  it("Settings do not compile if the writer forgets one or the reader wants another", () => {
    const { trigger: _trigger, ...others } = ALL;
    // @ts-expect-error the trigger is missing
    expect(formatSettings(others)).not.toHaveProperty(SETTINGS.trigger.variable);
    // @ts-expect-error there is no such setting
    expect(parseSettings(formatSettings(ALL)).lease).toBeUndefined();
  });
});
