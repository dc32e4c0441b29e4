import { Group, NativeSelect, Stack, Text } from "@mantine/core";
import { getRouteApi } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { graphql } from "../../__generated__";
import type { ContactFilter, ContactRowFragment } from "../../__generated__/graphql";
import type { Chosen } from "../ui/choice";
import { fullName, NONE, word } from "../ui/format";
import { PageTitle } from "../ui/page-title";
import { usePages } from "../ui/pages";
import type { Column } from "../ui/table";
import { InfiniteList } from "../ui/infinite-list";
import { SearchBox } from "../ui/search-box";
import { Panel } from "../ui/states";
import { AddToList } from "./add-to-list";
import { CONTACT_COLUMNS } from "./columns";

const ContactList = graphql(`
  query ContactList($filter: ContactFilter, $after: String) {
    contacts(
      filter: $filter
      orderBy: [{ field: LAST_NAME }, { field: FIRST_NAME }]
      first: 200
      after: $after
    ) {
      totalCount
      nodes { ...ContactRow }
      pageInfo { hasNextPage endCursor }
    }
  }
`);

export const ContactRow = graphql(`
  fragment ContactRow on Contact {
    ...ContactColumns
    suppression { reason }
  }
`);

const COLUMNS: Column<ContactRowFragment>[] = [
  ...CONTACT_COLUMNS,
  { id: "suppressed", title: "Suppressed", cell: ({ suppression }) => (suppression ? word(suppression.reason) : NONE) },
];

const ONLY = [
  { value: "", label: "Everyone" },
  { value: "opened", label: "Opened" },
  { value: "clicked", label: "Clicked" },
  { value: "suppressed", label: "Suppressed" },
] as const;

const route = getRouteApi("/contacts");

/** All contacts, by name. */
export function Contacts() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const { q, only } = search;
  const variables = useMemo(() => {
    const filter: ContactFilter = {};
    if (q !== undefined) {
      filter.or = [{ firstName: { contains: q } }, { lastName: { contains: q } }, { email: { contains: q } }];
    }
    if (only !== undefined) filter[only] = true;
    return { filter };
  }, [q, only]);
  const list = usePages(ContactList, variables, (data) => data.contacts);
  const [chosen, setChosen] = useState<Chosen<ContactRowFragment>>(new Map());
  const [message, setMessage] = useState<string | null>(null);
  const set = (change: Partial<typeof search>) => {
    // rows that are no longer listed are deselected
    setChosen(new Map());
    void navigate({ search: (before) => ({ ...before, ...change }), replace: true });
  };
  return (
    <Stack gap="lg">
      <PageTitle>Contacts</PageTitle>
      <Panel title="All contacts">
        <Group px="md" pb="sm" gap="sm">
          <SearchBox
            label="Search contacts"
            placeholder="Search name or e-mail"
            value={q}
            onChange={(q) => set({ q })}
          />
          <NativeSelect
            size="xs"
            aria-label="Filter contacts"
            value={only ?? ""}
            onChange={({ currentTarget: { value } }) =>
              set({ only: ONLY.find((known) => known.value === value && value !== "")?.value || undefined })
            }
            data={ONLY.map((choice) => ({ ...choice }))}
          />
          <AddToList
            contactIds={[...chosen.keys()]}
            onDone={(text) => {
              setMessage(text);
              setChosen(new Map());
            }}
          />
          <Text size="sm" role="status">
            {message}
          </Text>
        </Group>
        <InfiniteList
          label="Contacts"
          list={list}
          columns={COLUMNS}
          choice={{ chosen, onChoose: setChosen, nameOf: fullName }}
          empty={q === undefined && only === undefined ? "No contacts yet" : "No contact matches"}
        />
      </Panel>
    </Stack>
  );
}
