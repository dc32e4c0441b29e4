import { graphql } from "../../__generated__";
import type { SegmentNamesQuery, SegmentNamesQueryVariables } from "../../__generated__/graphql";
import type { Names } from "../ui/picker";

const SegmentNames = graphql(`
  query SegmentNames($filter: SegmentFilter!, $ids: [ID!]!) {
    found: segments(first: 50, filter: $filter, orderBy: [{ field: NAME }]) { nodes { id name } }
    chosen: segments(first: 500, filter: { id: { in: $ids } }) { nodes { id name } }
  }
`);

/** Names of segments. */
export const segmentNames: Names<SegmentNamesQuery, SegmentNamesQueryVariables> = {
  query: SegmentNames,
  variablesOf: ({ text, ids }) => ({ filter: text === "" ? {} : { name: { contains: text } }, ids }),
  namesOf: ({ found, chosen }) => [...chosen.nodes, ...found.nodes],
};
