import { graphql } from "../../__generated__";
import type { CampaignFilter, CampaignNamesQuery, CampaignNamesQueryVariables } from "../../__generated__/graphql";
import type { Names } from "../ui/picker";

const CampaignNames = graphql(`
  query CampaignNames($filter: CampaignFilter!, $ids: [ID!]!) {
    found: campaigns(first: 50, filter: $filter, orderBy: [{ field: CREATED_AT, direction: DESC }]) {
      nodes { id name }
    }
    chosen: campaigns(first: 500, filter: { id: { in: $ids } }) { nodes { id name } }
  }
`);

/** Names of campaigns, of those that the filter selects. */
function campaignNames(filter: CampaignFilter): Names<CampaignNamesQuery, CampaignNamesQueryVariables> {
  return {
    query: CampaignNames,
    variablesOf: ({ text, ids }) => ({ filter: text === "" ? filter : { ...filter, name: { contains: text } }, ids }),
    namesOf: ({ found, chosen }) => [...chosen.nodes, ...found.nodes],
  };
}

export const allCampaigns = campaignNames({});
/** Campaigns that are not over. */
export const openCampaigns = campaignNames({ status: { notIn: ["SENT", "CANCELED"] } });
