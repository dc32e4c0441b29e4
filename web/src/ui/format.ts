/** Numbers and times as the reader's language writes them. */

type Format<Value> = { format: (value: Value) => string };

/** A format that is made when it is first used, as that takes longer than to use it. */
function later<Value>(make: () => Format<Value>): Format<Value> {
  let made: Format<Value> | undefined;
  return { format: (value) => (made ??= make()).format(value) };
}

const number = (options?: Intl.NumberFormatOptions) =>
  later<number>(() => new Intl.NumberFormat(undefined, options));
const time = (options: Intl.DateTimeFormatOptions) =>
  later<Date>(() => new Intl.DateTimeFormat(undefined, options));

const counts = number();
const percents = number({ style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
const points = number({ minimumFractionDigits: 1, maximumFractionDigits: 1, signDisplay: "exceptZero" });
const changes = number({ style: "percent", maximumFractionDigits: 0, signDisplay: "exceptZero" });
const days = time({ dateStyle: "medium" });
const times = time({ dateStyle: "medium", timeStyle: "short" });
const exact = time({ dateStyle: "medium", timeStyle: "medium" });
const periods = new Map<string, Format<Date>>();

/** What stands where there is nothing. */
export const NONE = "–";

export const count = (value: number) => counts.format(value);

/** A rate of the API, which is a percentage. */
export const rate = (value: number | null | undefined) =>
  value == null ? NONE : percents.format(value / 100);

/** The difference of two rates, in percentage points. */
export const difference = (now: number, before: number) => points.format(now - before);

/** The change of a count, relative to the one before. */
export const change = (now: number, before: number) => changes.format((now - before) / before);

export const day = (time: string | null | undefined) => (time == null ? NONE : days.format(new Date(time)));

export const moment = (time: string | null | undefined) =>
  time == null ? NONE : times.format(new Date(time));

export const second = (time: string) => exact.format(new Date(time));

/** The beginning of a period of a time series, in its time zone. */
export function period(start: string, interval: string, timeZone: string): string {
  const key = `${interval} ${timeZone}`;
  let format = periods.get(key);
  if (format === undefined) {
    const options: Intl.DateTimeFormatOptions =
      interval === "MONTH"
        ? { month: "short", year: "numeric" }
        : interval === "DAY" || interval === "WEEK"
          ? { day: "numeric", month: "short" }
          : { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" };
    format = time({ ...options, timeZone });
    periods.set(key, format);
  }
  return format.format(new Date(start));
}

/** A word of the API as people read it: HARD_BOUNCE is "Hard bounce". */
export function word(name: string): string {
  const text = name.toLowerCase().replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export const fullName = ({ firstName, lastName }: { firstName: string; lastName?: string | null }) =>
  lastName ? `${firstName} ${lastName}` : firstName;

/** The time zones that this browser knows. */
export function timeZones(): string[] {
  return ["UTC", ...Intl.supportedValuesOf("timeZone").filter((zone) => zone !== "UTC")];
}

let own: string | undefined;

/** The reader's time zone. The browser takes some time to find it. */
export const ownTimeZone = () => (own ??= Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC");
