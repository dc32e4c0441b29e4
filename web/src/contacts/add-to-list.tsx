import { Button, Group, NativeSelect } from "@mantine/core";
import { useState } from "react";
import { useMutation, useQuery } from "urql";
import { graphql } from "../../__generated__";
import { count } from "../ui/format";
import { messageOf } from "../ui/states";

const OpenCampaigns = graphql(`
  query OpenCampaigns {
    campaigns(
      first: 500
      filter: { status: { notIn: [SENT, CANCELED] } }
      orderBy: [{ field: CREATED_AT, direction: DESC }]
    ) {
      nodes { id name }
    }
  }
`);

const Add = graphql(`
  mutation AddContactsToList($campaignId: ID!, $contactIds: [ID!]!) {
    addContactsToList(campaignId: $campaignId, contactIds: $contactIds) { added alreadyOnList }
  }
`);

/** Contacts that the API puts on a list at once. */
const MOST = 10_000;

/** Puts contacts on the list of a campaign that is not over. */
export function AddToList({
  contactIds,
  onDone,
}: {
  contactIds: string[];
  onDone: (said: string) => void;
}) {
  const [{ data }] = useQuery({ query: OpenCampaigns, requestPolicy: "cache-and-network" });
  const campaigns = data?.campaigns.nodes ?? [];
  const [picked, setPicked] = useState("");
  const [{ fetching }, add] = useMutation(Add);
  const campaignId = picked === "" ? campaigns[0]?.id : picked;
  if (campaignId === undefined) return null;
  const save = async () => {
    const { data, error } = await add({ campaignId, contactIds });
    if (error) return onDone(messageOf(error));
    const { added, alreadyOnList } = data?.addContactsToList ?? { added: 0, alreadyOnList: 0 };
    onDone(`${count(added)} added, ${count(alreadyOnList)} were on the list before.`);
  };
  return (
    <Group gap="xs">
      <NativeSelect
        size="xs"
        aria-label="Campaign to add contacts to"
        value={campaignId}
        onChange={({ currentTarget }) => setPicked(currentTarget.value)}
        data={campaigns.map(({ id, name }) => ({ value: id, label: name }))}
      />
      <Button
        size="xs"
        variant="default"
        disabled={contactIds.length === 0 || contactIds.length > MOST}
        loading={fetching}
        onClick={save}
      >
        Add to its list
      </Button>
    </Group>
  );
}
