// What a page of a dashboard on Relay would have: a list that loads more of itself.
import { graphql } from "relay-runtime";

export const query = graphql`
  query campaignsQuery($filter: CampaignFilter) {
    viewer {
      organization {
        id
        name
      }
    }
    ...campaigns_list @arguments(filter: $filter)
  }
`;

export const list = graphql`
  fragment campaigns_list on Query
  @argumentDefinitions(
    count: { type: "Int", defaultValue: 20 }
    cursor: { type: "String" }
    filter: { type: "CampaignFilter" }
  )
  @refetchable(queryName: "campaignsListPaginationQuery") {
    campaigns(first: $count, after: $cursor, filter: $filter, orderBy: [{ field: SENT_AT, direction: DESC }])
      @connection(key: "campaigns_list_campaigns") {
      edges {
        node {
          id
          name
          stats {
            openRate
          }
          ...campaigns_sends
        }
      }
    }
  }
`;

export const sends = graphql`
  fragment campaigns_sends on Campaign
  @argumentDefinitions(count: { type: "Int", defaultValue: 20 }, cursor: { type: "String" })
  @refetchable(queryName: "campaignsSendsPaginationQuery") {
    sends(first: $count, after: $cursor) @connection(key: "campaigns_sends_sends") {
      edges {
        node {
          id
          status
          contact {
            firstName
          }
        }
      }
    }
  }
`;
