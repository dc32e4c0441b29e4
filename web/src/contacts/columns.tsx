import { Link } from "@tanstack/react-router";
import { graphql } from "../../__generated__";
import type { ContactColumnsFragment } from "../../__generated__/graphql";
import { fullName, NONE, word } from "../ui/format";
import type { Column } from "../ui/table";

export const ContactColumns = graphql(`
  fragment ContactColumns on Contact {
    id
    firstName
    lastName
    email
    type
    city
    country
  }
`);

/** The columns of every table of contacts. */
export const CONTACT_COLUMNS: Column<ContactColumnsFragment>[] = [
  {
    id: "name",
    title: "Name",
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
