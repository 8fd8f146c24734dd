import type { Script } from "../../support/engine.ts";

export const names = (script: Script) => script.calls.map(({ call }) => call);
export const calls = (script: Script, call: string) =>
  script.calls.filter((c) => c.call === call).map((c) => c.args);
export const ALL = [
  [0, 1],
  [2, 3],
  [4, 5],
  [6, 7],
];
