/**
 * The search parameters of each page, so that a view can be shared. An invalid value is ignored, and
 * the page uses its default.
 */

import type {
  CampaignOrderField,
  CampaignStatus,
  EngagementEventType,
  TimeInterval,
} from "../__generated__/graphql";

/** All values of an enum of the API. One that is missing here does not compile. */
const all = <T extends string>(values: Record<T, true>) => Object.keys(values) as T[];

export const INTERVALS: TimeInterval[] = ["HOUR", "DAY", "WEEK", "MONTH"];
export const SPANS = [7, 30, 90, 365] as const;
export const STATUSES = all<CampaignStatus>({
  DRAFT: true,
  SCHEDULED: true,
  SENDING: true,
  SENT: true,
  PAUSED: true,
  CANCELED: true,
});
export const EVENT_TYPES = all<EngagementEventType>({
  OPEN: true,
  CLICK: true,
  UNSUBSCRIBE: true,
  COMPLAINT: true,
  BOUNCE: true,
});
export const AUDIENCES = ["all", "opened", "clicked", "bounced", "complained", "unsubscribed"] as const;
export type Audience = (typeof AUDIENCES)[number];
const ORDERS = all<CampaignOrderField>({
  NAME: true,
  STATUS: true,
  CHANNEL: true,
  SCHEDULED_AT: true,
  SENT_AT: true,
  CREATED_AT: true,
  UPDATED_AT: true,
  SENDS: true,
  OPEN_RATE: true,
  CLICK_RATE: true,
  BOUNCE_RATE: true,
});

type Raw = Record<string, unknown>;
const one = <T>(value: unknown, of: readonly T[]): T | undefined => of.find((known) => known === value);
/** The parameters that are set. The others do not appear in the address. */
const known = <T extends object>(search: T): Partial<T> =>
  Object.fromEntries(Object.entries(search).filter(([, value]) => value !== undefined)) as Partial<T>;
const text = (value: unknown) => (typeof value === "string" && value !== "" ? value : undefined);

/** A time zone that the browser supports. */
function zone(value: unknown): string | undefined {
  try {
    return text(value) && Intl.DateTimeFormat(undefined, { timeZone: text(value) }).resolvedOptions().timeZone;
  } catch {
    return undefined;
  }
}

export const overviewSearch = (raw: Raw) =>
  known({
    days: one(raw.days, SPANS),
    interval: one(raw.interval, INTERVALS),
    zone: zone(raw.zone),
    q: text(raw.q),
    status: one(raw.status, STATUSES),
    sort: one(raw.sort, ORDERS),
    direction: one(raw.direction, ["ASC", "DESC"] as const),
    after: text(raw.after),
    before: text(raw.before),
  });
export type OverviewSearch = ReturnType<typeof overviewSearch>;

export const campaignSearch = (raw: Raw) =>
  known({
    interval: one(raw.interval, INTERVALS),
    zone: zone(raw.zone),
    who: one(raw.who, AUDIENCES),
  });

export const segmentsSearch = (raw: Raw) => known({ q: text(raw.q) });

export const contactsSearch = (raw: Raw) =>
  known({
    q: text(raw.q),
    only: one(raw.only, ["opened", "clicked", "suppressed"] as const),
  });

export const feedSearch = (raw: Raw) =>
  known({
    type: one(raw.type, EVENT_TYPES),
    campaign: text(raw.campaign),
  });
