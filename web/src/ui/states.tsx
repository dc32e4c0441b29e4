import { Alert, Button, Group, Skeleton, Stack, Text, Title } from "@mantine/core";
import { IconAlertTriangle } from "@tabler/icons-react";
import type { ReactNode } from "react";
import type { CombinedError } from "urql";

/** Content that is gray, with a progress bar, while it is about to be replaced. */
export function Busy({ isBusy, children }: { isBusy: boolean; children: ReactNode }) {
  return (
    <div className="busy" aria-busy={isBusy}>
      {children}
    </div>
  );
}

/** The placeholder of content that is loading. */
export function Loading({ lines = 6 }: { lines?: number }) {
  return (
    <Stack gap="sm" p="md" role="status" aria-label="Loading">
      {Array.from({ length: lines }, (_, line) => (
        <Skeleton key={line} height={22} radius="sm" />
      ))}
    </Stack>
  );
}

/** The message of an error, with a button to retry if `onRetry` is given. */
export function Failed({ error, onRetry }: { error: CombinedError; onRetry?: () => void }) {
  return (
    <Alert
      color="red"
      variant="outline"
      icon={<IconAlertTriangle aria-hidden />}
      title={error.networkError ? "The service cannot be reached" : "Something went wrong"}
      role="alert"
      m="md"
    >
      <Group justify="space-between">
        <Text size="sm">
          {messageOf(error)}
          {error.networkError && onRetry && " Trying again…"}
        </Text>
        {onRetry && (
          <Button size="xs" variant="default" onClick={onRetry}>
            Try again
          </Button>
        )}
      </Group>
    </Alert>
  );
}

/** The replacement of a view that threw an error. */
export function Broken({ onRetry }: { onRetry: () => void }) {
  return (
    <Alert color="red" variant="outline" title="This page could not be displayed" role="alert" m="md">
      <Group justify="space-between">
        <Text size="sm">Other pages still work.</Text>
        <Button size="xs" variant="default" onClick={onRetry}>
          Try again
        </Button>
      </Group>
    </Alert>
  );
}

/** The placeholder of an empty list. */
export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <Stack align="center" gap={4} p="xl">
      <Text fw={600}>{title}</Text>
      {children && (
        <Text c="dimmed" size="sm" ta="center" component="div">
          {children}
        </Text>
      )}
    </Stack>
  );
}

/** The page of an object that does not exist. */
export function Missing({ what }: { what: string }) {
  return (
    <Empty title={`This ${what} does not exist`}>
      It may have been deleted, or it belongs to another organization.
    </Empty>
  );
}

/** A panel with a title. Its content is dimmed while it is about to be replaced. */
export function Panel({
  title,
  actions,
  isBusy = false,
  children,
}: {
  title: string;
  actions?: ReactNode;
  isBusy?: boolean;
  children: ReactNode;
}) {
  return (
    <section className="panel" aria-label={title}>
      <Group justify="space-between" px="md" pt="sm" pb="xs" gap="sm">
        <Title order={2} size="h4">
          {title}
        </Title>
        {actions}
      </Group>
      <Busy isBusy={isBusy}>{children}</Busy>
    </section>
  );
}

/** The message in place of the browser's "Failed to fetch". */
const UNREACHABLE = "There is no connection to the service.";

/** The message of an error, from the service if possible. */
export function messageOf(error: CombinedError): string {
  if (error.graphQLErrors[0] === undefined && error.networkError !== undefined) return UNREACHABLE;
  return error.graphQLErrors[0]?.message ?? error.message;
}
