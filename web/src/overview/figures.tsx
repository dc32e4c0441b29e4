import { Group, SimpleGrid, Skeleton, Text } from "@mantine/core";
import { IconAlertTriangle, IconCircleCheck } from "@tabler/icons-react";
import { graphql } from "../../__generated__";
import type { FiguresFragment } from "../../__generated__/graphql";
import { change, count, difference, rate, type Share } from "../ui/format";

export const FiguresOf = graphql(`
  fragment Figures on CampaignStats {
    sends
    delivered
    bounced
    uniqueOpens
    uniqueClicks
    uniqueUnsubscribes
    uniqueComplaints
  }
`);

interface Level {
  /** The lowest share of this level, in thousandths. */
  from: number;
  color: string;
  text: string;
  /** The source of the limit. */
  source?: { name: string; url: string };
}

interface Rate {
  title: string;
  of: (stats: FiguresFragment) => Share;
  /** The levels, highest first, and the text for a share below all of them. */
  levels?: Level[];
  good?: string;
}

const BAD = "var(--verdict-bad)";
const NEAR = "var(--verdict-near)";
const GMAIL = { name: "Gmail", url: "https://support.google.com/a/answer/81126" };
const YAHOO = { name: "Yahoo", url: "https://senders.yahooinc.com/best-practices/" };

const ofDelivered = (count: "uniqueOpens" | "uniqueClicks" | "uniqueUnsubscribes" | "uniqueComplaints") =>
  (stats: FiguresFragment): Share => ({ part: stats[count], whole: stats.delivered });

const RATES: Rate[] = [
  { title: "Open rate", of: ofDelivered("uniqueOpens") },
  { title: "Click rate", of: ofDelivered("uniqueClicks") },
  {
    title: "Bounce rate",
    of: ({ bounced, sends }) => ({ part: bounced, whole: sends }),
    levels: [{ from: 20, color: BAD, text: "At or above 2%, too high by common guidance" }],
    good: "Below 2%, as common guidance recommends",
  },
  { title: "Unsubscribe rate", of: ofDelivered("uniqueUnsubscribes") },
  {
    title: "Complaint rate",
    of: ofDelivered("uniqueComplaints"),
    levels: [
      { from: 3, color: BAD, text: "At or above the limit of 0.3% of", source: YAHOO },
      { from: 1, color: NEAR, text: "At or above 0.1%, the maximum recommended by", source: GMAIL },
    ],
    good: "Below 0.1%",
  },
];

/** The counts and rates of a time span, each with its change from the previous span. */
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
      {RATES.map(({ title, of, levels, good }) => (
        <Figure
          key={title}
          title={title}
          value={now && rate(of(now))}
          change={now && before ? pointsOf(of(now), of(before)) : null}
          days={days}
          verdict={now && verdict(of(now), levels, good)}
        />
      ))}
    </SimpleGrid>
  );
}

interface Verdict {
  color: string;
  isGood: boolean;
  text: string;
  source?: Level["source"];
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
          {change === null ? `No data for the previous ${days} days` : `${change} vs. the previous ${days} days`}
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
              {verdict.source && (
                <>
                  {" "}
                  <a className="source" href={verdict.source.url} target="_blank" rel="noreferrer">
                    {verdict.source.name}
                  </a>
                </>
              )}
            </Text>
          </Group>
        )}
      </div>
    </div>
  );
}

function pointsOf(now: Share, before: Share): string | null {
  const points = difference(now, before);
  return points === null ? null : `${points} points`;
}

/** The verdict on a share. It compares exact counts: 23 of 8,063 are below 0.3%, although they round to 0.3%. */
function verdict({ part, whole }: Share, levels: Level[] | undefined, good = ""): Verdict | null {
  if (whole === 0 || levels === undefined) return null;
  const level = levels.find(({ from }) => 1_000 * part >= from * whole);
  return level === undefined
    ? { color: "var(--verdict-good)", isGood: true, text: good }
    : { ...level, isGood: false };
}
