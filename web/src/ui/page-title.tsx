import { Title } from "@mantine/core";
import { useDocumentTitle } from "@mantine/hooks";

/** The title of a page and of its browser tab. */
export function PageTitle({ children, id }: { children: string; id?: string }) {
  useDocumentTitle(`${children} · campaigns`);
  return (
    <Title order={1} size="h2" id={id}>
      {children}
    </Title>
  );
}
