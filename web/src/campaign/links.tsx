import { graphql } from "../../__generated__";
import type { LinkFragment } from "../../__generated__/graphql";
import { count, day } from "../ui/format";
import { type Column, Rows } from "../ui/rows";
import { Empty, Panel } from "../ui/states";

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

/** The links of a campaign, most clicked first. */
export function Links({ links }: { links: LinkFragment[] }) {
  return (
    <Panel title="Links">
      {links.length === 0 ? (
        <Empty title="No link was clicked yet" />
      ) : (
        <Rows label="Links" columns={COLUMNS} rows={links.map((link) => ({ ...link, id: link.url }))} />
      )}
    </Panel>
  );
}
