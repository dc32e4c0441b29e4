import { Group, SimpleGrid, Skeleton, Text } from "@mantine/core";
import { IconAlertTriangle, IconCircleCheck } from "@tabler/icons-react";
import { graphql } from "../../__generated__";
import type { FiguresFragment } from "../../__generated__/graphql";
import { change, count, difference, rate } from "../ui/format";

export const FiguresOf = graphql(`
  fragment Figures on CampaignStats {
    sends
    delivered
    openRate
    clickRate
    clickToOpenRate
    bounceRate
    unsubscribeRate
    complaintRate
  }
`);

type Rate = "openRate" | "clickRate" | "bounceRate" | "unsubscribeRate" | "complaintRate";

interface Threshold {
  /** Percent from which on providers look closer. */
  warning: number;
  /** Percent from which on providers refuse. */
  limit: number;
}

/**
 * What mailbox providers publish: Gmail and Yahoo ask senders to keep complaints below 0.1 % and never
 * reach 0.3 %; a bounce rate of 2 % is the usual limit.
 */
const THRESHOLDS: Partial<Record<Rate, Threshold>> = {
  bounceRate: { warning: 2, limit: 2 },
  complaintRate: { warning: 0.1, limit: 0.3 },
};

const RATES: { rate: Rate; title: string }[] = [
  { rate: "openRate", title: "Open rate" },
  { rate: "clickRate", title: "Click rate" },
  { rate: "bounceRate", title: "Bounce rate" },
  { rate: "unsubscribeRate", title: "Unsubscribe rate" },
  { rate: "complaintRate", title: "Complaint rate" },
];

/** Counts and rates of a span, each with its change against the span before. */
export function Figures({
  now,
  before,
  days,
}: {
  now: FiguresFragment | undefined;
  before: FiguresFragment | undefined;
  days: number;
}) {
  return (
    <SimpleGrid cols={{ base: 2, md: 3, xl: 6 }} spacing="sm" component="section" aria-label="Figures">
      <Figure
        title="Sends"
        value={now && count(now.sends)}
        change={now && before && before.sends > 0 ? change(now.sends, before.sends) : null}
        days={days}
      />
      {RATES.map(({ rate: name, title }) => (
        <Figure
          key={name}
          title={title}
          value={now && rate(now[name])}
          change={pointsOf(now?.[name], before?.[name])}
          days={days}
          verdict={verdict(now?.[name], THRESHOLDS[name])}
        />
      ))}
    </SimpleGrid>
  );
}

interface Verdict {
  color: string;
  isGood: boolean;
  text: string;
}

function Figure({
  title,
  value,
  change,
  days,
  verdict,
}: {
  title: string;
  value: string | undefined;
  change: string | null;
  days: number;
  verdict?: Verdict | null;
}) {
  return (
    <div className="panel">
      <div style={{ padding: "0.75rem 1rem" }}>
        <Text size="sm" c="dimmed">
          {title}
        </Text>
        {value === undefined ? (
          <Skeleton height={28} my={4} width="60%" />
        ) : (
          <div className="figure">{value}</div>
        )}
        <Text size="xs" c="dimmed">
          {change === null ? `Nothing in the previous ${days} days` : `${change} vs. the previous ${days} days`}
        </Text>
        {verdict && (
          <Group gap={4} wrap="nowrap" mt={4} c={verdict.color}>
            {verdict.isGood ? (
              <IconCircleCheck size={15} className="icon" aria-hidden />
            ) : (
              <IconAlertTriangle size={15} className="icon" aria-hidden />
            )}
            <Text size="xs" span>
              {verdict.text}
            </Text>
          </Group>
        )}
      </div>
    </div>
  );
}

function pointsOf(now: number | null | undefined, before: number | null | undefined) {
  return now == null || before == null ? null : `${difference(now, before)} points`;
}

function verdict(value: number | null | undefined, threshold: Threshold | undefined): Verdict | null {
  if (value == null || threshold === undefined) return null;
  const { warning, limit } = threshold;
  if (value >= limit) {
    return { color: "var(--verdict-bad)", isGood: false, text: `At or above ${rate(limit)}, the providers' limit` };
  }
  if (value >= warning) {
    return { color: "var(--verdict-near)", isGood: false, text: `Above ${rate(warning)}, which providers recommend as a maximum` };
  }
  return { color: "var(--verdict-good)", isGood: true, text: `Below ${rate(warning)}, as providers recommend` };
}

