export const ALL_TYPES =
  "id bigint NOT NULL, b boolean, t tinyint, s smallint, i int, f float, d double, m decimal(20,4), txt string, bin binary, day date, ts timestamp, ntz timestamp_ntz, t2 time, span interval day to second";
export const ALL_VALUES = {
  id: "9007199254740993",
  b: true,
  t: -128,
  s: 32767,
  i: -2147483648,
  f: 0.5,
  d: 1e-300,
  m: "1234567890123456.7891",
  txt: 'a "quoted", text\nin two lines é',
  bin: "AAEC/w==",
  day: "1969-12-31",
  ts: "2026-11-21T08:30:00.123456Z",
  ntz: "2026-11-21T09:30:00.123",
  t2: "23:59:59.999999",
  span: "P1DT2H3M4.5S",
};
export const NULLS = Object.fromEntries(Object.keys(ALL_VALUES).map((name) => [name, null]));
