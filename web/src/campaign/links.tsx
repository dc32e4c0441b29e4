import { graphql } from "../../__generated__";
import type { LinkFragment } from "../../__generated__/graphql";
import { count, day } from "../ui/format";
import { useStableQuery, useRevision } from "../ui/query";
import { Rows } from "../ui/rows";
import type { Column } from "../ui/table";
import { Empty, Failed, Loading, Panel } from "../ui/states";

export const LinkOf = graphql(`
  fragment Link on LinkStats {
    url
    clicks
    uniqueClicks
    lastClickedAt
  }
`);

type Row = LinkFragment & { id: string };

const COLUMNS: Column<Row>[] = [
  { id: "url", title: "Link", cell: ({ url }) => <span title={url}>{url}</span> },
  { id: "clicks", title: "Clicks", isNumber: true, cell: ({ clicks }) => count(clicks) },
  { id: "unique", title: "Sends", isNumber: true, cell: ({ uniqueClicks }) => count(uniqueClicks) },
  { id: "last", title: "Last click", cell: ({ lastClickedAt }) => day(lastClickedAt) },
];

const LinksOf = graphql(`
  query LinksOf($id: ID!) {
    campaign(id: $id) {
      id
      links(first: 20) { ...Link }
    }
  }
`);

/** The links of a campaign, most clicked first. */
export function Links({ id, revision }: { id: string; revision: number }) {
  const { shown, error, reload } = useStableQuery({ query: LinksOf, variables: { id }, subject: id });
  useRevision(revision, reload);
  const links = shown?.data.campaign?.links;
  return (
    <Panel title="Links">
      {error && <Failed error={error} onRetry={reload} />}
      {links === undefined ? (
        !error && <Loading />
      ) : links.length === 0 ? (
        <Empty title="No clicks yet" />
      ) : (
        <Rows label="Links" columns={COLUMNS} rows={links.map((link) => ({ ...link, id: link.url }))} />
      )}
    </Panel>
  );
}
