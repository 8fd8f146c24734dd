import fc from "fast-check";
import { Temporal } from "temporal-polyfill";
import { describe, expect, it } from "vitest";
import { refusal, stored, words } from "./column.ts";

describe("values that properties are checked for", () => {
  const micros = fc.bigInt({ min: -62135596800000000n, max: 253402300799999999n });
  const instant = (value: bigint) => Temporal.Instant.fromEpochNanoseconds(value * 1000n);

  it("A timestamp is the same from text in any zone, from Temporal and from microseconds", () => {
    const zone = fc.integer({ min: -18 * 60, max: 18 * 60 }).map((minutes) => {
      const text = String(Math.abs(minutes) % 60).padStart(2, "0");
      return `${minutes < 0 ? "-" : "+"}${String(Math.floor(Math.abs(minutes) / 60)).padStart(2, "0")}:${text}`;
    });
    fc.assert(
      fc.property(micros, zone, (value, at) => {
        const time = instant(value);
        const forms = [
          value,
          time,
          time.toString(),
          time.toString({ timeZone: at }),
          time.toZonedDateTimeISO(at),
        ];
        expect(words("timestamp", forms)).toEqual(forms.map(() => value));
        const local = time.toZonedDateTimeISO("UTC").toPlainDateTime();
        expect(words("timestamp_ntz", [value, local, local.toString()])).toEqual([value, value, value]);
      }),
    );
  });

  it("A timestamp is the same from a Date and from the text of that Date", () => {
    fc.assert(
      fc.property(fc.date({ noInvalidDate: true }), (date) => {
        const value = BigInt(date.getTime()) * 1000n;
        expect(words("timestamp", [date, date.toISOString()])).toEqual([value, value]);
      }),
    );
  });

  it("A timestamp column refuses nanoseconds in each form", () => {
    fc.assert(
      fc.property(micros, fc.integer({ min: 1, max: 999 }), (value, nanos) => {
        const time = Temporal.Instant.fromEpochNanoseconds(value * 1000n + BigInt(nanos));
        for (const form of [time, time.toString(), time.toZonedDateTimeISO("UTC")])
          expect(refusal("timestamp", form).message).toContain("found a time with nanoseconds");
      }),
    );
  });

  it("A date column takes a text exactly if the calendar has that date", () => {
    const part = (max: number) => fc.integer({ min: 0, max });
    fc.assert(
      fc.property(part(9999), part(13), part(32), (year, month, day) => {
        const pad = (number: number, digits: number) => String(number).padStart(digits, "0");
        const text = `${pad(year, 4)}-${pad(month, 2)}-${pad(day, 2)}`;
        let date: Temporal.PlainDate | undefined;
        try {
          date = Temporal.PlainDate.from({ year, month, day }, { overflow: "reject" });
        } catch {
          expect(refusal("date", text).message).toContain("found a date that does not exist");
          return;
        }
        expect(stored("date", [text, date])).toEqual([text, text]);
      }),
      { numRuns: 1000 },
    );
  });

  it("A decimal column keeps each digit and refuses one digit too many", () => {
    const type = fc
      .integer({ min: 1, max: 38 })
      .chain((precision) => fc.tuple(fc.constant(precision), fc.integer({ min: 0, max: precision })));
    const value = type.chain(([precision, scale]) => {
      const limit = 10n ** BigInt(precision);
      return fc.tuple(
        fc.constant(precision),
        fc.constant(scale),
        fc.bigInt({ min: 1n - limit, max: limit - 1n }),
      );
    });
    const textOf = (unscaled: bigint, scale: number) => {
      const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, "0");
      const sign = unscaled < 0n ? "-" : "";
      return scale === 0 ? `${sign}${digits}` : `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
    };
    fc.assert(
      fc.property(value, ([precision, scale, unscaled]) => {
        const ddl = `decimal(${precision},${scale})`;
        const text = textOf(unscaled, scale);
        expect(stored(ddl, [text])).toEqual([text]);
        const whole = unscaled / 10n ** BigInt(scale);
        expect(stored(ddl, [whole])).toEqual([textOf(whole * 10n ** BigInt(scale), scale)]);
        expect(refusal(ddl, textOf(unscaled * 10n + 1n, scale + 1)).message).toContain(
          "digits after the point",
        );
        const above = 10n ** BigInt(precision);
        for (const outside of [above, -above])
          expect(refusal(ddl, textOf(outside, scale)).message).toContain("too many digits");
      }),
    );
  });

  it("A decimal column stores a number as the decimal of its shortest text, or refuses it", () => {
    fc.assert(
      fc.property(fc.double({ min: -1e15, max: 1e15, noNaN: true }), (number) => {
        const digits = Math.max(0, 1 - Math.floor(Math.log10(Math.abs(number) || 1))) + 17;
        if (digits > 22) return;
        const [shown] = stored(
          "decimal(38,22)",
          [number].filter((n) => Number(n.toFixed(22)) === n),
        );
        if (shown !== undefined) expect(Number(shown)).toBe(number === 0 ? 0 : number);
      }),
    );
  });

  it("An integer column stores an integer that fits and refuses one that does not", () => {
    const number = fc.oneof(
      fc.double(),
      fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
      fc.maxSafeInteger(),
      fc.bigInt({ min: -(2n ** 65n), max: 2n ** 65n }),
      fc.bigInt({ min: -200n, max: 200n }),
    );
    const types = [
      ["tinyint", 7n],
      ["smallint", 15n],
      ["int", 31n],
      ["bigint", 63n],
    ] as const;
    fc.assert(
      fc.property(number, (value) => {
        const isWhole = typeof value === "bigint" || Number.isSafeInteger(value);
        for (const [type, bits] of types) {
          const fits = isWhole && BigInt(value) >= -(1n << bits) && BigInt(value) < 1n << bits;
          if (fits) expect(String(stored(type, [value])[0])).toBe(String(BigInt(value)));
          else expect(refusal(type, value).code).toBe("ROW_MISMATCH");
        }
      }),
    );
  });

  it("A string column keeps every character of a string, alone and among others", () => {
    const text = fc.oneof(fc.string({ unit: "binary" }), fc.string({ unit: "grapheme", maxLength: 300 }));
    fc.assert(
      fc.property(fc.array(fc.option(text), { maxLength: 20 }), (values) => {
        expect(stored("string", values)).toEqual(values);
        expect(stored("array<string>", [values, values])).toEqual([values, values]);
      }),
    );
  });

  it("An interval column returns the text that it was given", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (value) => {
        const [text] = stored("interval day to second", [value]);
        expect(words("interval day to second", [text])).toEqual([value]);
      }),
    );
  });
});
