import { Text } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import type { RuleGroupType } from "react-querybuilder";
import { useQuery } from "urql";
import { graphql } from "../../__generated__";
import type { PreviewedFragment } from "../../__generated__/graphql";
import { count, fullName, NONE, word } from "../ui/format";
import { type Column, Rows } from "../ui/rows";
import { Empty, Failed, Loading, Panel } from "../ui/states";

const PreviewOf = graphql(`
  query Preview($rules: JSON!) {
    previewSegment(rules: $rules) {
      count
      contacts(first: 20) { ...Previewed }
    }
  }
`);

export const Previewed = graphql(`
  fragment Previewed on Contact {
    id
    firstName
    lastName
    email
    type
    city
    country
  }
`);

const COLUMNS: Column<PreviewedFragment>[] = [
  {
    id: "name",
    title: "Contact",
    cell: (contact) => (
      <Link to="/contacts/$id" params={{ id: contact.id }}>
        {fullName(contact)}
      </Link>
    ),
  },
  { id: "email", title: "E-mail", cell: ({ email }) => email ?? NONE },
  { id: "type", title: "Type", cell: ({ type }) => word(type) },
  { id: "city", title: "City", cell: ({ city }) => city ?? NONE },
  { id: "country", title: "Country", cell: ({ country }) => country ?? NONE },
];

/** Whom rules select now, before they are stored. */
export function Preview({ rules, isComplete }: { rules: RuleGroupType; isComplete: boolean }) {
  const [{ data, error, fetching }] = useQuery({
    query: PreviewOf,
    variables: { rules },
    pause: !isComplete,
    requestPolicy: "cache-and-network",
  });
  const preview = data?.previewSegment;
  return (
    <Panel title="Preview">
      <Text px="md" pb="xs" role="status" c={isComplete ? undefined : "dimmed"}>
        {isComplete
          ? preview && !error && !fetching
            ? `${count(preview.count)} contacts match`
            : "Counting …"
          : "Enter a value for each rule to see whom it selects."}
      </Text>
      {error && !fetching && isComplete ? (
        <Failed error={error} />
      ) : preview === undefined ? (
        isComplete && <Loading />
      ) : preview.contacts.length === 0 ? (
        <Empty title="Nobody matches" />
      ) : (
        <Rows label="Contacts that match" columns={COLUMNS} rows={preview.contacts} />
      )}
    </Panel>
  );
}
