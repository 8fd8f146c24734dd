const SECONDS_PER_DAY = 86_400;

/**
 * A time as written in ISO 8601 text: the wall-clock time and, separately, the zone. Parts that do
 * not exist, such as February 30, are NaN.
 */
export interface IsoMoment {
  /** Wall-clock time, in seconds since 1970-01-01T00:00:00. */
  readonly seconds: number;
  /** Microseconds within the second, 0 to 999,999. */
  readonly micros: number;
  /** True if the text has digits other than 0 beyond microseconds. */
  readonly isFiner: boolean;
  /** Seconds east of UTC; `undefined` if the text has no zone. */
  readonly offset: number | undefined;
}

/**
 * Parses a time such as `2026-11-21T03:04:05.678901+01:00`. Seconds, fraction and zone are
 * optional. Returns `undefined` for text of another form.
 */
export function scanMoment(text: string): IsoMoment | undefined {
  const scanner = new IsoScanner(text);
  const days = scanner.date();
  if (days === undefined || !scanner.take("T", "t", " ")) return undefined;
  const time = scanner.time();
  if (time === undefined) return undefined;
  while (scanner.take(" "));
  const offset = scanner.offset();
  if (!scanner.isEnd) return undefined;
  return { seconds: days * SECONDS_PER_DAY + time, micros: scanner.micros, isFiner: scanner.isFiner, offset };
}

/** Returns epoch milliseconds with a fraction. A time without a zone counts as UTC. */
export function epochMilliseconds({ seconds, micros, offset = 0 }: IsoMoment): number {
  return (seconds - offset) * 1000 + micros / 1000;
}

/**
 * Returns epoch microseconds. A time without a zone counts as UTC. Throws if the time does not
 * exist in the calendar.
 */
export function epochMicros({ seconds, micros, offset = 0 }: IsoMoment): bigint {
  return BigInt(seconds - offset) * 1_000_000n + BigInt(micros);
}

/** True if the date, the time of day and the zone exist. */
export function exists({ seconds, offset = 0 }: IsoMoment): boolean {
  return !Number.isNaN(seconds - offset);
}

/**
 * True for a UTC time such as `2026-11-21T03:04:05.678Z`. Two such texts of equal length sort in
 * time order.
 */
export function isUtcTime(text: string): boolean {
  return text[10] === "T" && text.endsWith("Z") && scanMoment(text)?.offset === 0;
}

/**
 * Parses ISO 8601 digit by digit, because JSON rows contain many times and a regular expression
 * with groups takes several times as long. Each method returns `undefined` if the text has another
 * form, and NaN if the text names something that does not exist.
 */
export class IsoScanner {
  readonly #text: string;
  #at = 0;
  /** Microseconds within the second that the last `time()` read. */
  micros = 0;
  /** True if the last `time()` read digits other than 0 beyond microseconds. */
  isFiner = false;

  constructor(text: string) {
    this.#text = text;
  }

  get isEnd(): boolean {
    return this.#at === this.#text.length;
  }

  take(...symbols: readonly string[]): boolean {
    const symbol = this.#text[this.#at];
    if (symbol === undefined || !symbols.includes(symbol)) return false;
    this.#at++;
    return true;
  }

  /** Reads exactly `count` digits. Returns -1 if the text has other characters there. */
  #digits(count: number): number {
    let value = 0;
    for (let i = 0; i < count; i++) {
      const digit = this.#digit();
      if (digit < 0) return -1;
      value = value * 10 + digit;
    }
    return value;
  }

  #digit(): number {
    const digit = this.#text.charCodeAt(this.#at) - 48;
    if (!(digit >= 0 && digit <= 9)) return -1;
    this.#at++;
    return digit;
  }

  /**
   * Reads a date and returns the days since 1970-01-01. A year has four digits, or a sign and six
   * digits.
   */
  date(): number | undefined {
    const isBefore = this.take("-");
    const digits = this.#digits(isBefore || this.take("+") ? 6 : 4);
    if (digits < 0 || !this.take("-")) return undefined;
    const month = this.#digits(2);
    if (month < 0 || !this.take("-")) return undefined;
    const day = this.#digits(2);
    if (day < 0) return undefined;
    return daysOf(isBefore ? -digits : digits, month, day);
  }

  /**
   * Reads a time of day and returns the seconds since midnight. The fraction goes to `micros` and
   * `isFiner`.
   */
  time(): number | undefined {
    const hours = this.#digits(2);
    if (hours < 0 || !this.take(":")) return undefined;
    const minutes = this.#digits(2);
    if (minutes < 0) return undefined;
    let seconds = 0;
    if (this.take(":")) {
      seconds = this.#digits(2);
      if (seconds < 0) return undefined;
      if (this.take(".", ",") && !this.#fraction()) return undefined;
    }
    return hours > 23 || minutes > 59 || seconds > 59 ? Number.NaN : (hours * 60 + minutes) * 60 + seconds;
  }

  #fraction(): boolean {
    let unit = 100_000;
    let digit = this.#digit();
    if (digit < 0) return false;
    for (; digit >= 0; digit = this.#digit()) {
      if (unit >= 1) this.micros += digit * unit;
      else if (digit > 0) this.isFiner = true;
      unit /= 10;
    }
    return true;
  }

  /** Reads a zone and returns the seconds east of UTC. */
  offset(): number | undefined {
    if (this.take("Z", "z")) return 0;
    const isWest = this.take("-");
    if (!isWest && !this.take("+")) return undefined;
    const hours = this.#digits(2);
    this.take(":");
    const minutes = this.isEnd ? 0 : this.#digits(2);
    if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return Number.NaN;
    return (hours * 60 + minutes) * (isWest ? -60 : 60);
  }
}

/**
 * Returns the days from 1970-01-01 to a date of the Gregorian calendar, or NaN if the date does not
 * exist.
 */
function daysOf(year: number, month: number, day: number): number {
  if (month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) return Number.NaN;
  // The calendar repeats every 400 years (an era). Years are counted from March, so that the leap
  // day is the last day of a year.
  const shifted = month > 2 ? year : year - 1;
  const era = Math.floor(shifted / 400);
  const yearOfEra = shifted - era * 400;
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

function daysIn(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}
