import { Badge, Button, Group, NativeSelect } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { Link } from "@tanstack/react-router";
import { Suspense, useDeferredValue, useMemo, useRef, useState } from "react";
import { graphql } from "../../__generated__";
import type { CampaignFilter, CampaignRowFragment } from "../../__generated__/graphql";
import { type OverviewSearch, STATUSES } from "../search";
import { isUnderWay, wholeOf } from "../campaign/under-way";
import { count, day, rate, word } from "../ui/format";
import { useStableQuery } from "../ui/query";
import { lazily } from "../ui/lazily";
import { Rows } from "../ui/rows";
import type { Column } from "../ui/table";
import { SearchBox } from "../ui/search-box";
import { Empty, Failed, Loading, Panel } from "../ui/states";
import { StatusBadge } from "../ui/status-badge";

const CampaignForm = lazily(() => import("../campaign/form"), ({ default: form }) => form);

export const CampaignRow = graphql(`
  fragment CampaignRow on Campaign {
    id
    name
    channel
    status
    scheduledAt
    sentAt
    stats { sends queued delivered bounced uniqueOpens uniqueClicks }
  }
`);

const Campaigns = graphql(`
  query Campaigns(
    $filter: CampaignFilter
    $orderBy: [CampaignOrder!]
    $first: Int
    $after: String
    $last: Int
    $before: String
  ) {
    campaigns(
      filter: $filter
      orderBy: $orderBy
      first: $first
      after: $after
      last: $last
      before: $before
    ) {
      totalCount
      nodes { ...CampaignRow }
      pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    }
  }
`);

const PAGE = 25;

const COLUMNS: Column<CampaignRowFragment>[] = [
  {
    id: "name",
    title: "Name",
    order: "NAME",
    cell: ({ id, name }) => (
      <Link to="/campaigns/$id" params={{ id }}>
        {name}
      </Link>
    ),
  },
  { id: "status", title: "Status", order: "STATUS", cell: ({ status }) => <StatusBadge status={status} /> },
  { id: "channel", title: "Channel", order: "CHANNEL", cell: ({ channel }) => channel },
  { id: "sent", title: "Sent", order: "SENT_AT", cell: ({ sentAt }) => day(sentAt) },
  { id: "sends", title: "Sends", order: "SENDS", isNumber: true, cell: ({ stats }) => count(stats.sends) },
  {
    id: "openRate",
    title: "Open rate",
    order: "OPEN_RATE",
    isNumber: true,
    cell: ({ stats }) => rate({ part: stats.uniqueOpens, whole: stats.delivered }),
  },
  {
    id: "clickRate",
    title: "Click rate",
    order: "CLICK_RATE",
    isNumber: true,
    cell: ({ stats }) => rate({ part: stats.uniqueClicks, whole: stats.delivered }),
  },
  {
    id: "bounceRate",
    title: "Bounce rate",
    order: "BOUNCE_RATE",
    isNumber: true,
    cell: ({ status, stats }) => (
      <>
        {rate({ part: stats.bounced, whole: wholeOf(status, stats) })}
        {isUnderWay(status, stats) && " so far"}
      </>
    ),
  },
];

/** All campaigns, page by page, with the order and the filters of the address. */
export function CampaignTable({
  search,
  onSearch,
}: {
  search: OverviewSearch;
  onSearch: (change: Partial<OverviewSearch>) => void;
}) {
  const { q, status, sort = "SENT_AT", direction = "DESC", after, before } = search;
  const [isCreating, creating] = useDisclosure();
  // a lazily loaded dialog does not know the previously focused element
  const opener = useRef<HTMLButtonElement>(null);
  const close = () => {
    creating.close();
    // after the dialog has released the focus
    setTimeout(() => opener.current?.focus(), 20);
  };
  // stays mounted after it was open, for the closing transition
  const [wasCreating, setCreating] = useState(false);
  if (isCreating && !wasCreating) setCreating(true);
  const variables = useMemo(() => {
    const filter: CampaignFilter = {};
    if (q !== undefined) filter.or = [{ name: { contains: q } }, { subject: { contains: q } }];
    if (status !== undefined) filter.status = { eq: status };
    const page = before === undefined ? { first: PAGE, after } : { last: PAGE, before };
    return { filter, orderBy: [{ field: sort, direction }], ...page };
  }, [q, status, sort, direction, after, before]);
  const { shown, error, isBusy, reload } = useStableQuery({
    query: Campaigns,
    variables,
    requestPolicy: "cache-and-network",
  });

  // a cursor belongs to an order and a filter
  const narrow = (change: Partial<OverviewSearch>) =>
    onSearch({ after: undefined, before: undefined, ...change });
  const drawn = useDeferredValue(shown);
  const campaigns = drawn?.data.campaigns;
  const info = campaigns?.pageInfo;
  // the order of the displayed rows, which can differ from the order that was just chosen
  const [order] = drawn?.of.orderBy ?? [];
  return (
    <Panel
      title="Campaigns"
      isBusy={drawn !== null && (isBusy || drawn !== shown)}
      actions={
        <Button size="xs" ref={opener} onClick={creating.open}>
          New campaign
        </Button>
      }
    >
      <Group px="md" pb="sm" gap="sm">
        <SearchBox
          label="Search campaigns"
          placeholder="Search name or subject"
          value={q}
          onChange={(q) => narrow({ q })}
        />
        <NativeSelect
          size="xs"
          aria-label="Status"
          value={status ?? ""}
          onChange={({ currentTarget: { value } }) =>
            narrow({ status: STATUSES.find((known) => known === value) })
          }
          data={[
            { value: "", label: "Any status" },
            ...STATUSES.map((known) => ({ value: known, label: word(known) })),
          ]}
        />
      </Group>
      {error && <Failed error={error} onRetry={reload} />}
      {!campaigns && !error && <Loading />}
      {campaigns && campaigns.nodes.length === 0 && (
        <Empty title={q || status ? "No campaign matches" : "No campaigns yet"}>
          {q || status ? "Change the search or the status." : "Create the first one with “New campaign”."}
        </Empty>
      )}
      {campaigns && campaigns.nodes.length > 0 && (
        <Rows
          label="Campaigns"
          columns={COLUMNS}
          rows={campaigns.nodes}
          order={order}
          onOrder={({ field, direction }) =>
            narrow({ sort: field as OverviewSearch["sort"], direction })
          }
        />
      )}
      {campaigns && info && (
        <Group justify="space-between" px="md" py="sm">
          <Badge variant="default" size="lg" fw={500} tt="none">
            {count(campaigns.totalCount)} in total
          </Badge>
          <Group gap="xs">
            <Button
              size="xs"
              variant="default"
              disabled={!info.hasPreviousPage}
              onClick={() => narrow({ before: info.startCursor ?? undefined })}
            >
              Previous
            </Button>
            <Button
              size="xs"
              variant="default"
              disabled={!info.hasNextPage}
              onClick={() => narrow({ after: info.endCursor ?? undefined })}
            >
              Next
            </Button>
          </Group>
        </Group>
      )}
      {wasCreating && (
        <Suspense>
          <CampaignForm isOpen={isCreating} onClose={close} />
        </Suspense>
      )}
    </Panel>
  );
}
