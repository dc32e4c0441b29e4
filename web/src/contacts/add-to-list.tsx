import { Button, Group } from "@mantine/core";
import { useState } from "react";
import { useMutation } from "urql";
import { graphql } from "../../__generated__";
import { openCampaigns } from "../campaign/names";
import { count } from "../ui/format";
import { Picker } from "../ui/picker";
import { messageOf } from "../ui/states";

const Add = graphql(`
  mutation AddContactsToList($campaignId: ID!, $contactIds: [ID!]!) {
    addContactsToList(campaignId: $campaignId, contactIds: $contactIds) { added alreadyOnList }
  }
`);

/** The maximum number of contacts to add in one request to the API. */
const MOST = 10_000;

/** Adds contacts to the list of a campaign that is not sent or canceled. */
export function AddToList({
  contactIds,
  onDone,
}: {
  contactIds: string[];
  onDone: (message: string) => void;
}) {
  const [campaignId, setPicked] = useState<string | null>(null);
  const [{ fetching }, add] = useMutation(Add);
  const save = async () => {
    if (campaignId === null) return;
    const { data, error } = await add({ campaignId, contactIds });
    if (error) return onDone(messageOf(error));
    const { added, alreadyOnList } = data?.addContactsToList ?? { added: 0, alreadyOnList: 0 };
    onDone(`${count(added)} added, ${count(alreadyOnList)} already on the list.`);
  };
  return (
    <Group gap="xs">
      <Picker
        label="Campaign to add contacts to"
        placeholder="Campaign"
        names={openCampaigns}
        value={campaignId}
        onChange={setPicked}
      />
      <Button
        size="xs"
        variant="default"
        disabled={campaignId === null || contactIds.length === 0 || contactIds.length > MOST}
        loading={fetching}
        onClick={save}
      >
        Add to list
      </Button>
    </Group>
  );
}
