/** Numbers and times as the reader's language writes them. */

const counts = new Intl.NumberFormat();
const percents = new Intl.NumberFormat(undefined, {
  style: "percent",
  minimumFractionDigits: 1,
  maximumFractionDigits: 1,
});
const points = new Intl.NumberFormat(undefined, {
  minimumFractionDigits: 1,
  maximumFractionDigits: 1,
  signDisplay: "exceptZero",
});
const changes = new Intl.NumberFormat(undefined, {
  style: "percent",
  maximumFractionDigits: 0,
  signDisplay: "exceptZero",
});
const days = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const times = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

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
  const at = new Date(start);
  const options: Intl.DateTimeFormatOptions =
    interval === "MONTH"
      ? { month: "short", year: "numeric" }
      : interval === "DAY" || interval === "WEEK"
        ? { day: "numeric", month: "short" }
        : { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" };
  return new Intl.DateTimeFormat(undefined, { ...options, timeZone }).format(at);
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

export const ownTimeZone = () => Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
