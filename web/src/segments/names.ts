import { graphql } from "../../__generated__";
import type { SegmentFilter } from "../../__generated__/graphql";
import type { Names } from "../ui/picker";

const SegmentNames = graphql(`
  query SegmentNames($filter: SegmentFilter!, $ids: [ID!]!) {
    found: segments(first: 50, filter: $filter, orderBy: [{ field: NAME }]) { nodes { id name } }
    chosen: segments(first: 500, filter: { id: { in: $ids } }) { nodes { id name } }
  }
`);

export const segmentNames: Names<SegmentFilter> = { query: SegmentNames, filter: {} };
