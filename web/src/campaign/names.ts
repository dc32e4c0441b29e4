import { graphql } from "../../__generated__";
import type { CampaignFilter } from "../../__generated__/graphql";
import type { Names } from "../ui/picker";

const CampaignNames = graphql(`
  query CampaignNames($filter: CampaignFilter!, $ids: [ID!]!) {
    found: campaigns(first: 50, filter: $filter, orderBy: [{ field: CREATED_AT, direction: DESC }]) {
      nodes { id name }
    }
    chosen: campaigns(first: 500, filter: { id: { in: $ids } }) { nodes { id name } }
  }
`);

export const allCampaigns: Names<CampaignFilter> = { query: CampaignNames, filter: {} };
/** Campaigns that are not sent or canceled. */
export const openCampaigns: Names<CampaignFilter> = {
  query: CampaignNames,
  filter: { status: { notIn: ["SENT", "CANCELED"] } },
};
