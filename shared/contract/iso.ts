const SECONDS_PER_DAY = 86_400;

/**
 * A moment as it is written: its wall clock, and the zone beside it. What does not exist is NaN.
 */
export interface IsoMoment {
  /** Since 1970-01-01T00:00:00 on the wall clock. */
  readonly seconds: number;
  /** 0 to 999,999. */
  readonly micros: number;
  /** True if there is more than microseconds. */
  readonly isFiner: boolean;
  /** Seconds east of UTC; `undefined` if no zone is written. */
  readonly offset: number | undefined;
}

/**
 * The moment of `2026-11-21T03:04:05.678901+01:00`; seconds, fraction and zone may be missing.
 * `undefined` for other text.
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

/** Epoch milliseconds, with a fraction; a moment without a zone counts as UTC. */
export function epochMilliseconds({ seconds, micros, offset = 0 }: IsoMoment): number {
  return (seconds - offset) * 1000 + micros / 1000;
}

/** Epoch microseconds; a moment without a zone counts as UTC, one that does not exist throws. */
export function epochMicros({ seconds, micros, offset = 0 }: IsoMoment): bigint {
  return BigInt(seconds - offset) * 1_000_000n + BigInt(micros);
}

/** True if there is such a moment. */
export function exists({ seconds, offset = 0 }: IsoMoment): boolean {
  return !Number.isNaN(seconds - offset);
}

/** True for a time such as `2026-11-21T03:04:05.678Z`: those of one length are in the order of their text. */
export function isUtcTime(text: string): boolean {
  return text[10] === "T" && text.endsWith("Z") && scanMoment(text)?.offset === 0;
}

/**
 * ISO 8601, read digit by digit: rows of JSON are full of it, and a pattern with groups takes
 * several times as long. Each part returns `undefined` if the text is another, and NaN if the
 * text names something that does not exist.
 */
export class IsoScanner {
  readonly #text: string;
  #at = 0;
  /** Of the last `time()`. */
  micros = 0;
  /** True if the last `time()` had more than microseconds. */
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

  /** A number of so many digits, or -1. */
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

  /** Days since 1970-01-01. A year has four digits, or a sign and six. */
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

  /** Seconds since midnight. */
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

  /** Seconds east of UTC. */
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

/** Days from 1970-01-01 to a day of the Gregorian calendar; NaN if it has no such day. */
function daysOf(year: number, month: number, day: number): number {
  if (month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) return Number.NaN;
  // Eras of 400 years repeat; years that begin in March have their leap day at the end.
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
