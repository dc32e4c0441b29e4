import { Button, Group, Stack } from "@mantine/core";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useMemo } from "react";
import { graphql } from "../../__generated__";
import type { SegmentRowFragment } from "../../__generated__/graphql";
import { count, day, NONE } from "../ui/format";
import { PageTitle } from "../ui/page-title";
import { usePages } from "../ui/pages";
import type { Column } from "../ui/table";
import { InfiniteList } from "../ui/infinite-list";
import { SearchBox } from "../ui/search-box";
import { Panel } from "../ui/states";

const SegmentList = graphql(`
  query SegmentList($filter: SegmentFilter, $after: String) {
    segments(filter: $filter, orderBy: [{ field: CONTACT_COUNT, direction: DESC }], first: 200, after: $after) {
      totalCount
      nodes { ...SegmentRow }
      pageInfo { hasNextPage endCursor }
    }
  }
`);

export const SegmentRow = graphql(`
  fragment SegmentRow on Segment {
    id
    name
    description
    contactCount
    campaignsUsedIn
    updatedAt
  }
`);

const COLUMNS: Column<SegmentRowFragment>[] = [
  {
    id: "name",
    title: "Name",
    cell: ({ id, name }) => (
      <Link to="/segments/$id" params={{ id }}>
        {name}
      </Link>
    ),
  },
  { id: "description", title: "Description", cell: ({ description }) => description ?? NONE },
  { id: "contacts", title: "Contacts", isNumber: true, cell: ({ contactCount }) => count(contactCount) },
  { id: "used", title: "Campaigns", isNumber: true, cell: ({ campaignsUsedIn }) => count(campaignsUsedIn) },
  { id: "updated", title: "Changed", cell: ({ updatedAt }) => day(updatedAt) },
];

const route = getRouteApi("/segments");

/** All segments, largest first. */
export function Segments() {
  const { q } = route.useSearch();
  const navigate = route.useNavigate();
  const variables = useMemo(
    () => ({
      filter: q === undefined ? {} : { or: [{ name: { contains: q } }, { description: { contains: q } }] },
    }),
    [q],
  );
  const list = usePages(SegmentList, variables, (data) => data.segments);
  return (
    <Stack gap="lg">
      <Group justify="space-between">
        <PageTitle>Segments</PageTitle>
        <Button size="xs" onClick={() => void navigate({ to: "/segments/$id", params: { id: "new" } })}>
          New segment
        </Button>
      </Group>
      <Panel title="All segments">
        <Group px="md" pb="sm">
          <SearchBox
            label="Search segments"
            placeholder="Search name or description"
            value={q}
            onChange={(q) => void navigate({ search: { q }, replace: true })}
          />
        </Group>
        <InfiniteList
          label="Segments"
          list={list}
          columns={COLUMNS}
          empty={q === undefined ? "No segments yet" : "No segment matches"}
        />
      </Panel>
    </Stack>
  );
}
