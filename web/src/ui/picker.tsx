import { MultiSelect, Select } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useMemo, useRef, useState } from "react";
import { type TypedDocumentNode, useQuery } from "urql";

interface Named {
  id: string;
  name: string;
}

/** What a picker asks with: what was typed, and what is chosen already, which has a name in any case. */
export interface Asked {
  text: string;
  ids: string[];
}

/** The names that a picker offers. */
export interface Names<Data, Variables extends object> {
  query: TypedDocumentNode<Data, Variables>;
  variablesOf: (asked: Asked) => Variables;
  namesOf: (data: Data) => Named[];
}

interface Common<Data, Variables extends object> {
  label: string;
  placeholder?: string;
  names: Names<Data, Variables>;
}

/** Finds names as the reader types: there may be more than anyone can list. */
function useNames<Data, Variables extends object>(
  { query, variablesOf, namesOf }: Names<Data, Variables>,
  ids: string[],
) {
  const [text, setText] = useState("");
  const [settled] = useDebouncedValue(text, 200);
  const key = ids.join(" ");
  const known = useRef(new Map<string, string>());
  // a field shows the name of what was chosen: that is not searched for
  const isName = [...known.current.values()].includes(settled);
  const variables = useMemo(
    () => variablesOf({ text: isName ? "" : settled.trim(), ids: key === "" ? [] : key.split(" ") }),
    [variablesOf, settled, isName, key],
  );
  const [{ data, fetching }] = useQuery<Data, object>({ query, variables });
  const found = data === undefined ? [] : namesOf(data);
  for (const { id, name } of found) known.current.set(id, name);
  const chosen = ids.map((id) => ({ id, name: known.current.get(id) ?? "…" }));
  const listed = [...new Map([...chosen, ...found].map((one) => [one.id, one.name]))];
  return {
    first: found[0]?.id,
    setText,
    data: listed.map(([value, label]) => ({ value, label })),
    nothingFoundMessage: fetching ? "Searching …" : "Nothing found",
    // the service has searched
    filter: ({ options }: { options: unknown }) => options as never,
  };
}

/** Picks one of any number of things by its name. */
export function Picker<Data, Variables extends object>({
  label,
  placeholder,
  names,
  value,
  onChange,
  isClearable = false,
}: Common<Data, Variables> & {
  value: string | null;
  onChange: (id: string | null) => void;
  isClearable?: boolean;
}) {
  const { setText, data, nothingFoundMessage, filter } = useNames(names, value === null ? [] : [value]);
  return (
    <Select
      size="xs"
      aria-label={label}
      placeholder={placeholder}
      searchable
      clearable={isClearable}
      clearButtonProps={{ "aria-label": `Clear ${label}`, "aria-hidden": false, tabIndex: 0 }}
      allowDeselect={false}
      value={value}
      onChange={onChange}
      onSearchChange={setText}
      data={data}
      filter={filter}
      nothingFoundMessage={nothingFoundMessage}
      comboboxProps={{ width: "max-content", position: "bottom-start" }}
    />
  );
}

/** Picks some of any number of things. */
export function ManyPicker<Data, Variables extends object>({
  label,
  placeholder,
  names,
  value,
  onChange,
}: Common<Data, Variables> & { value: string[]; onChange: (ids: string[]) => void }) {
  const { setText, data, nothingFoundMessage, filter } = useNames(names, value);
  return (
    <MultiSelect
      size="xs"
      aria-label={label}
      placeholder={placeholder}
      searchable
      value={value}
      onChange={onChange}
      onSearchChange={setText}
      data={data}
      filter={filter}
      nothingFoundMessage={nothingFoundMessage}
      comboboxProps={{ width: "max-content", position: "bottom-start" }}
    />
  );
}
