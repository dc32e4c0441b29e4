import { Button, Group, Stack, Text } from "@mantine/core";
import { Dialog } from "../ui/dialog";
import { accept, decline, type Offer, retry } from "./link";
import { ACCEPT, DECLINE, explained, Sessions, TITLE } from "./sessions";

/** Asks before a link replaces the user's session. */
export function Replace({ offer }: { offer: Offer }) {
  return (
    <Dialog isOpen onClose={decline} title={TITLE}>
      <Stack>
        <Text>{explained(offer)}</Text>
        <Sessions offer={offer} />
        <Group justify="end">
          {offer.state === "question" && (
            <Button variant="default" onClick={accept}>
              {ACCEPT}
            </Button>
          )}
          {offer.state === "failed" && (
            <Button variant="default" onClick={retry}>
              Try again
            </Button>
          )}
          <Button onClick={decline} data-autofocus>
            {DECLINE}
          </Button>
        </Group>
      </Stack>
    </Dialog>
  );
}
