import { api } from "../base";
import { renewIfEnded } from "../session/issuer";
import { authorization } from "../session/token";

/** The IDs of a campaign and a contact for the example queries. */
export interface Examples {
  campaign: string;
  contact: string;
}

interface Found {
  data?: { campaigns: { nodes: { id: string }[] }; contacts: { nodes: { id: string }[] } };
}

/** Looks up a campaign and a contact for the example queries. */
export async function examples(onEnd: (why: string) => void): Promise<Examples> {
  const query = `{
    campaigns(first: 1, filter: { status: { eq: SENT } }, orderBy: [{ field: SENT_AT, direction: DESC }]) { nodes { id } }
    contacts(first: 1, filter: { clicked: true }) { nodes { id } }
  }`;
  try {
    await renewIfEnded();
    const response = await fetch(api, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...authorization() },
      body: JSON.stringify({ query }),
    });
    if (response.status === 401) onEnd("The token is not valid, or it has expired.");
    const { data } = (await response.json()) as Found;
    return {
      campaign: data?.campaigns.nodes[0]?.id ?? "",
      contact: data?.contacts.nodes[0]?.id ?? "",
    };
  } catch {
    // users can enter their own IDs
    return { campaign: "", contact: "" };
  }
}

/** The tabs of a new user. */
export function questions({ campaign, contact }: Examples) {
  const ofCampaign = JSON.stringify({ id: campaign }, null, 2);
  return [
    { query: RATES, variables: ofCampaign },
    { query: BOUNCES },
    { query: HISTORY, variables: JSON.stringify({ id: contact }, null, 2) },
    { query: SEGMENTS },
    { query: DELIVERY },
    { query: CLICKED },
    { query: DAYS, variables: ofCampaign },
    { query: FEED },
  ];
}

const RATES = `# The rates of a campaign
query CampaignRates($id: ID!) {
  campaign(id: $id) {
    name
    stats {
      sends
      delivered
      opens
      clicks
      openRate
      clickRate
    }
  }
}
`;

const BOUNCES = `# The bounce rate by campaign, highest first
query BounceRates {
  campaigns(
    filter: { status: { eq: SENT } }
    orderBy: [{ field: BOUNCE_RATE, direction: DESC }]
  ) {
    nodes {
      id
      name
      stats {
        sends
        bounced
        bounceRate
      }
    }
  }
}
`;

const HISTORY = `# All engagement events of a contact, latest first
query ContactEvents($id: ID!) {
  contact(id: $id) {
    firstName
    lastName
    events(first: 50) {
      nodes {
        id
        type
        url
        occurredAt
        campaign {
          name
        }
      }
    }
  }
}
`;

const SEGMENTS = `# Segments by size, with the number of campaigns that use each
query SegmentSizes {
  segments(orderBy: [{ field: CONTACT_COUNT, direction: DESC }]) {
    nodes {
      id
      name
      contactCount
      campaignsUsedIn
    }
  }
}
`;

const DELIVERY = `# The delivery status of each campaign, last sent first
query DeliverySummary {
  campaigns(orderBy: [{ field: SENT_AT, direction: DESC }]) {
    nodes {
      id
      name
      status
      sentAt
      stats {
        queued
        sent
        delivered
        bounced
        failed
      }
    }
  }
}
`;

const CLICKED = `# Contacts that clicked a link and never unsubscribed
query ClickedAndStayed {
  contacts(
    filter: { clicked: true, unsubscribed: false }
    orderBy: [{ field: LAST_NAME }, { field: FIRST_NAME }]
  ) {
    nodes {
      id
      firstName
      lastName
      email
    }
  }
}
`;

const DAYS = `# A campaign day by day, in Berlin's time zone
query Days($id: ID!) {
  campaign(id: $id) {
    timeline(interval: DAY, timezone: "Europe/Berlin") {
      start
      opens
      clicks
      uniqueOpens
    }
  }
}
`;

const FEED = `# Every event as it happens. To continue later, pass the last cursor as after.
subscription Feed($after: String, $filter: EngagementEventFilter) {
  engagementEvents(after: $after, filter: $filter) {
    cursor
    node {
      type
      occurredAt
      url
      campaign {
        name
      }
      contact {
        email
      }
    }
  }
}
`;
