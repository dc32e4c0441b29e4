import { Alert, Button, Group, Skeleton, Stack, Text, Title } from "@mantine/core";
import { IconAlertTriangle } from "@tabler/icons-react";
import type { ReactNode } from "react";
import type { CombinedError } from "urql";

/** Content that loses its colours, below a bar, while it is about to be replaced. */
export function Busy({ isBusy, children }: { isBusy: boolean; children: ReactNode }) {
  return (
    <div className="busy" aria-busy={isBusy}>
      {children}
    </div>
  );
}

/** What takes the place of content while it loads. */
export function Loading({ lines = 6 }: { lines?: number }) {
  return (
    <Stack gap="sm" p="md" role="status" aria-label="Loading">
      {Array.from({ length: lines }, (_, line) => (
        <Skeleton key={line} height={22} radius="sm" />
      ))}
    </Stack>
  );
}

/** What went wrong, and a way to try again where that may help. */
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
          {error.networkError && onRetry && " Trying again …"}
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

/** What stands where a view failed by a mistake of its own. */
export function Broken({ onRetry }: { onRetry: () => void }) {
  return (
    <Alert color="red" variant="outline" title="This page has failed" role="alert" m="md">
      <Group justify="space-between">
        <Text size="sm">Other pages still work.</Text>
        <Button size="xs" variant="default" onClick={onRetry}>
          Try again
        </Button>
      </Group>
    </Alert>
  );
}

/** What stands where there is nothing to list. */
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

/** A page for something that is not there. */
export function Missing({ what }: { what: string }) {
  return (
    <Empty title={`This ${what} does not exist`}>
      It may have been deleted, or it belongs to another organization.
    </Empty>
  );
}

/** A panel with a title. While its content is about to be replaced, that is dimmed. */
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

/** What browsers call "Failed to fetch". */
const UNREACHABLE = "There is no connection to the service.";

/** The text of an error, as the service wrote it. */
export function messageOf(error: CombinedError): string {
  if (error.graphQLErrors[0] === undefined && error.networkError !== undefined) return UNREACHABLE;
  return error.graphQLErrors[0]?.message ?? error.message;
}
