/** Formats numbers and times in the user's locale. */

type Format<Value> = { format: (value: Value) => string };

/** A format that is created when it is first used, because creating one is slow. */
function later<Value>(make: () => Format<Value>): Format<Value> {
  let made: Format<Value> | undefined;
  return { format: (value) => (made ??= make()).format(value) };
}

const number = (options?: Intl.NumberFormatOptions) =>
  later<number>(() => new Intl.NumberFormat(undefined, options));
const time = (options: Intl.DateTimeFormatOptions) =>
  later<Date>(() => new Intl.DateTimeFormat(undefined, options));

const counts = number();
const percents = [1, 2].map((digits) =>
  number({ style: "percent", minimumFractionDigits: digits, maximumFractionDigits: digits }),
);
const points = number({ minimumFractionDigits: 1, maximumFractionDigits: 1, signDisplay: "exceptZero" });
const changes = number({ style: "percent", maximumFractionDigits: 0, signDisplay: "exceptZero" });
const days = time({ dateStyle: "medium" });
const times = time({ dateStyle: "medium", timeStyle: "short" });
const exact = time({ dateStyle: "medium", timeStyle: "medium" });
const periods = new Map<string, Format<Date>>();

/** The placeholder for a missing value. */
export const NONE = "–";

export const count = (value: number) => counts.format(value);

/** A part of a whole, both as counts. */
export interface Share {
  part: number;
  whole: number;
}

/**
 * A share as a percentage, computed from the counts and rounded half up once, like the API's rates. Shares
 * below 1% have two decimals, because one is too coarse for limits of 0.1%.
 */
export function rate({ part, whole }: Share): string {
  if (whole === 0) return NONE;
  const isSmall = part > 0 && 100 * part < whole;
  const units = isSmall ? 10_000 : 1_000;
  // exact integers below 2^53
  const rounded = Math.floor((2 * units * part + whole) / (2 * whole));
  return (percents[isSmall ? 1 : 0] as Format<number>).format(rounded / units);
}

/** The difference of two shares, in percentage points. Null if one of the wholes is zero. */
export const difference = (now: Share, before: Share): string | null =>
  now.whole === 0 || before.whole === 0
    ? null
    : points.format(100 * (now.part / now.whole - before.part / before.whole));

/** The relative change of a count. */
export const change = (now: number, before: number) => changes.format((now - before) / before);

export const day = (time: string | null | undefined) => (time == null ? NONE : days.format(new Date(time)));

export const moment = (time: string | null | undefined) =>
  time == null ? NONE : times.format(new Date(time));

export const second = (time: string) => exact.format(new Date(time));

/** The start of a period of a time series, in its time zone. */
export function period(start: string, interval: string, timeZone: string): string {
  const key = `${interval} ${timeZone}`;
  let format = periods.get(key);
  if (format === undefined) {
    const options: Intl.DateTimeFormatOptions =
      interval === "MONTH"
        ? { month: "short", year: "numeric" }
        : interval === "DAY" || interval === "WEEK"
          ? { day: "numeric", month: "short", year: "numeric" }
          : { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" };
    format = time({ ...options, timeZone });
    periods.set(key, format);
  }
  return format.format(new Date(start));
}

/** The start of a period as an axis label: an hour within a day, or a day or a month within a year. */
export function tick(start: string, interval: string, timeZone: string): { text: string; within: string } {
  const at = new Date(start);
  const isOfDay = interval === "HOUR" || interval === "MINUTE";
  const text = isOfDay ? "hour" : interval === "MONTH" ? "month" : "day";
  return {
    text: ticks(text, timeZone).format(at),
    within: ticks(isOfDay ? "day" : "year", timeZone).format(at),
  };
}

/** The formats of axis labels. */
const TICKS = {
  hour: { hour: "2-digit", minute: "2-digit" },
  day: { day: "numeric", month: "short" },
  month: { month: "short" },
  year: { year: "numeric" },
} satisfies Record<string, Intl.DateTimeFormatOptions>;
const tickFormats = new Map<string, Format<Date>>();

function ticks(part: keyof typeof TICKS, timeZone: string): Format<Date> {
  const key = `${part} ${timeZone}`;
  const format = tickFormats.get(key) ?? time({ ...TICKS[part], timeZone });
  tickFormats.set(key, format);
  return format;
}

/** An enum value of the API as text: HARD_BOUNCE becomes "Hard bounce". */
export function word(name: string): string {
  const text = name.toLowerCase().replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** An event type as text. A bounced send is different: its status can be reported without an event. */
export const eventName = (type: string) => (type === "BOUNCE" ? "Bounce report" : word(type));

export const fullName = ({ firstName, lastName }: { firstName: string; lastName?: string | null }) =>
  lastName ? `${firstName} ${lastName}` : firstName;

/** The time zones that the browser supports. */
export function timeZones(): string[] {
  return ["UTC", ...Intl.supportedValuesOf("timeZone").filter((zone) => zone !== "UTC")];
}

let own: string | undefined;

/** The user's time zone. Finding it takes the browser some time. */
export const ownTimeZone = () => (own ??= Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC");
