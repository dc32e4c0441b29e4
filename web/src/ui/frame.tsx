import {
  ActionIcon,
  AppShell,
  Burger,
  Button,
  Group,
  Text,
  useComputedColorScheme,
  useMantineColorScheme,
} from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconMoon, IconSun } from "@tabler/icons-react";
import { Link, Outlet } from "@tanstack/react-router";
import { base } from "../base";
import { useSession } from "../session/session";
import { at, nameOf } from "../views";
import { Deferred } from "./deferred";

const PAGES = [
  { to: "/", name: "Overview" },
  { to: at("segments"), name: nameOf("segments") },
  { to: at("contacts"), name: nameOf("contacts") },
  { to: at("live"), name: nameOf("live") },
  { to: at("providers"), name: nameOf("providers") },
] as const;

/** The frame of each page: navigation, the signed-in user, and the color scheme. */
export function Frame() {
  const [isOpen, { toggle, close }] = useDisclosure();
  const { viewer, signOut } = useSession();
  return (
    <AppShell
      header={{ height: 56 }}
      navbar={{ width: 220, breakpoint: "sm", collapsed: { mobile: !isOpen } }}
      padding="md"
    >
      <AppShell.Header px="md">
        <a className="skip" href="#content">
          Skip to content
        </a>
        <Group h="100%" justify="space-between" wrap="nowrap">
          <Group wrap="nowrap" gap="sm">
            <Burger
              opened={isOpen}
              onClick={toggle}
              hiddenFrom="sm"
              size="sm"
              aria-label="Navigation"
              aria-expanded={isOpen}
            />
            <Text fw={700} component="span">
              campaigns
            </Text>
            <Text c="dimmed" size="sm" visibleFrom="sm" component="span">
              {viewer.organization.name}
            </Text>
          </Group>
          <Group wrap="nowrap" gap="xs">
            <SchemeSwitch />
            <Button variant="default" size="xs" onClick={() => signOut()}>
              Sign out
            </Button>
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="sm">
        <AppShell.Section grow component="div">
          {PAGES.map(({ to, name }) => (
            <Link
              key={to}
              to={to}
              className="nav-link"
              activeOptions={{ exact: to === "/", includeSearch: false }}
              onClick={close}
            >
              {name}
            </Link>
          ))}
          <a className="nav-link" href={`${base}graphiql`}>
            GraphiQL
          </a>
        </AppShell.Section>
        <Text size="sm" c="dimmed" px="sm">
          {viewer.user?.fullName ?? viewer.subject}, {viewer.isAdmin ? "admin" : "member"}
        </Text>
      </AppShell.Navbar>
      <AppShell.Main id="content">
        <Deferred>
          <Outlet />
        </Deferred>
      </AppShell.Main>
    </AppShell>
  );
}

function SchemeSwitch() {
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme("light");
  const other = scheme === "light" ? "dark" : "light";
  return (
    <ActionIcon
      variant="default"
      size={30}
      aria-label={`Use ${other} mode`}
      onClick={() => setColorScheme(other)}
    >
      {other === "dark" ? <IconMoon size={16} aria-hidden /> : <IconSun size={16} aria-hidden />}
    </ActionIcon>
  );
}
