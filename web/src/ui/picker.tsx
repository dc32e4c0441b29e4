import { MultiSelect, Select } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useMemo, useRef, useState } from "react";
import { type TypedDocumentNode, useQuery } from "urql";

interface Named {
  id: string;
  name: string;
}

/** The names that a picker offers: the matches of a search, and the selected ones. */
export interface Names<Filter extends object> {
  query: TypedDocumentNode<
    { found: { nodes: Named[] }; chosen: { nodes: Named[] } },
    { filter: Filter; ids: string | string[] }
  >;
  /** The filter of all offered objects. */
  filter: Filter;
}

interface Common<Filter extends object> {
  label: string;
  placeholder?: string;
  names: Names<Filter>;
}

/** The properties of a field that searches names as the user types, since there can be too many to list. */
function useNames<Filter extends object>({ label, placeholder, names }: Common<Filter>, ids: string[]) {
  const { query, filter } = names;
  const [text, setText] = useState("");
  const [settled] = useDebouncedValue(text, 200);
  const key = ids.join(" ");
  const known = useRef(new Map<string, string>());
  // the name of the selected object is not a search
  const isName = [...known.current.values()].includes(settled);
  const variables = useMemo(() => {
    const search = isName ? "" : settled.trim();
    return {
      filter: search === "" ? filter : { ...filter, name: { contains: search } },
      ids: key === "" ? [] : key.split(" "),
    };
  }, [filter, settled, isName, key]);
  const [{ data, fetching }] = useQuery({ query, variables });
  const found = data === undefined ? [] : [...data.chosen.nodes, ...data.found.nodes];
  for (const { id, name } of found) known.current.set(id, name);
  const chosen = ids.map((id) => ({ id, name: known.current.get(id) ?? "…" }));
  const listed = [...new Map([...chosen, ...found].map((one) => [one.id, one.name]))];
  return {
    size: "xs",
    "aria-label": label,
    placeholder,
    searchable: true,
    onSearchChange: setText,
    data: listed.map(([value, label]) => ({ value, label })),
    nothingFoundMessage: fetching ? "Searching…" : "Nothing found",
    // the service has already filtered
    filter: ({ options }: { options: unknown }) => options as never,
    comboboxProps: { width: "max-content", position: "bottom-start" },
  } as const;
}

/** Selects one of any number of objects by its name. */
export function Picker<Filter extends object>({
  value,
  onChange,
  isClearable = false,
  ...common
}: Common<Filter> & {
  value: string | null;
  onChange: (id: string | null) => void;
  isClearable?: boolean;
}) {
  return (
    <Select
      {...useNames(common, value === null ? [] : [value])}
      clearable={isClearable}
      clearButtonProps={{ "aria-label": `Clear ${common.label}`, "aria-hidden": false, tabIndex: 0 }}
      allowDeselect={false}
      value={value}
      onChange={onChange}
    />
  );
}

/** Selects several of any number of objects by their names. */
export function ManyPicker<Filter extends object>({
  value,
  onChange,
  ...common
}: Common<Filter> & { value: string[]; onChange: (ids: string[]) => void }) {
  return <MultiSelect {...useNames(common, value)} value={value} onChange={onChange} />;
}
