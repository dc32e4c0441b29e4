import { Button, Group, TextInput, VisuallyHidden } from "@mantine/core";
import { useMemo, useState } from "react";
import {
  type Field,
  type Operator,
  QueryBuilder,
  type RuleGroupType,
  useValueEditor,
  ValueEditor,
  type ValueEditorProps,
  type ValueEditorType,
  ValueSelector,
  type ValueSelectorProps,
} from "react-querybuilder";
import { graphql } from "../../__generated__";
import { allCampaigns } from "../campaign/names";
import { ManyPicker, Picker } from "../ui/picker";
import { ANY_KEY, metadataFields, type RuleField } from "./rules";

export const RuleFields = graphql(`
  query RuleFields {
    segmentFields { name label valueType operators values }
  }
`);

/** An error of a rule. The path is the indexes of its groups and its own index. */
export interface RuleError {
  path: number[];
  message: string;
}

const OPERATORS: Record<string, string> = {
  "=": "is",
  "!=": "is not",
  "<": "is less than",
  "<=": "is at most",
  ">": "is more than",
  ">=": "is at least",
  contains: "contains",
  beginsWith: "begins with",
  endsWith: "ends with",
  doesNotContain: "does not contain",
  doesNotBeginWith: "does not begin with",
  doesNotEndWith: "does not end with",
  null: "is missing",
  notNull: "is set",
  in: "is one of",
  notIn: "is none of",
  between: "is between",
  notBetween: "is not between",
};

const BOOLEANS = [choice("true", "yes"), choice("false", "no")];

const CONTROLS = {
  queryBuilder: "rule-editor",
  ruleGroup: "rule-group",
  combinators: "rule-control",
  fields: "rule-control",
  operators: "rule-control",
  value: "rule-control",
  addRule: "rule-button",
  addGroup: "rule-button",
  removeRule: "rule-button rule-remove",
  removeGroup: "rule-button rule-remove",
};

// the editor's controls have only titles, which not every screen reader reads
const ELEMENTS = {
  valueSelector: (of: ValueSelectorProps) => (
    <label>
      <VisuallyHidden>{of.title}</VisuallyHidden>
      <ValueSelector {...of} />
    </label>
  ),
  valueEditor: (of: ValueEditorProps) => (
    <>
      {of.operator === "between" || of.operator === "notBetween" ? (
        <BothEnds {...of} />
      ) : isOfCampaign(of.field) && of.operator !== "null" && of.operator !== "notNull" ? (
        <Campaign {...of} />
      ) : (
        <label>
          <VisuallyHidden>{of.title}</VisuallyHidden>
          <ValueEditor {...of} />
        </label>
      )}
      <RuleMessage {...of} />
    </>
  ),
};

/** The error message beside its rule. */
function RuleMessage({ context, path }: ValueEditorProps) {
  const { error } = context as { error: RuleError | null };
  if (error === null || String(error.path) !== String(path)) return null;
  return (
    <span className="rule-error" role="alert">
      {error.message}
    </span>
  );
}

const isOfCampaign = (field: string) => field.endsWith("_campaign");

/** The field for the campaign or campaigns of a rule. */
function Campaign({ operator, value, handleOnChange }: ValueEditorProps) {
  const isList = operator === "in" || operator === "notIn";
  const ids = (Array.isArray(value) ? value : [value]).filter((id): id is string => typeof id === "string" && id !== "");
  return isList ? (
    <ManyPicker label="Value" placeholder="Campaigns" names={allCampaigns} value={ids} onChange={handleOnChange} />
  ) : (
    <Picker
      label="Value"
      placeholder="Campaign"
      names={allCampaigns}
      value={ids[0] ?? null}
      onChange={(id) => handleOnChange(id ?? "")}
    />
  );
}

/** The two values of a range, each with its own label. */
function BothEnds(of: ValueEditorProps) {
  const { valueAsArray, multiValueHandler, inputTypeCoerced } = useValueEditor(of);
  return ["Lowest value", "Highest value"].map((label, end) => (
    <input
      key={label}
      aria-label={label}
      className={of.className}
      type={inputTypeCoerced}
      placeholder={of.fieldData.placeholder ?? undefined}
      value={(valueAsArray[end] as string | undefined) ?? ""}
      onChange={({ currentTarget }) => multiValueHandler(currentTarget.value, end)}
    />
  ));
}

/** Edits the rules of a segment, with the fields and operators of the API. */
export function RuleEditor({
  rules,
  fields,
  error,
  onChange,
}: {
  rules: RuleGroupType;
  fields: RuleField[];
  error: RuleError | null;
  onChange: (rules: RuleGroupType) => void;
}) {
  const [key, setKey] = useState("");
  const [keys, setKeys] = useState(() => metadataFields(rules));
  const context = useMemo(() => ({ error }), [error]);
  const choices = useMemo(() => {
    const any = fields.find(({ name }) => name === ANY_KEY);
    const ofKeys = any
      ? [...new Set(keys)].map((name) => ({ ...any, name, label: `Metadata: ${name.slice(9)}` }))
      : [];
    const known = fields.filter(({ name }) => name !== ANY_KEY);
    return [...known, ...ofKeys].map(toField);
  }, [fields, keys]);

  const addKey = () => {
    const name = key.trim();
    if (name === "") return;
    setKeys([...keys, `metadata.${name}`]);
    setKey("");
    onChange({ ...rules, rules: [...rules.rules, { field: `metadata.${name}`, operator: "=", value: "" }] });
  };
  return (
    <>
      <QueryBuilder
        fields={choices}
        query={rules}
        onQueryChange={onChange}
        controlClassnames={CONTROLS}
        controlElements={ELEMENTS}
        showNotToggle
        listsAsArrays
        resetOnFieldChange
        context={context}
        translations={{
          addRule: { label: "Add rule" },
          addGroup: { label: "Add group" },
          removeRule: { label: <Remove what="rule" />, title: "Remove rule" },
          removeGroup: { label: <Remove what="group" />, title: "Remove group" },
          notToggle: { label: "Not" },
        }}
      />
      <Group gap="xs" mt="sm" align="end">
        <TextInput
          size="xs"
          label="Metadata key"
          placeholder="plan, address.zip"
          value={key}
          onChange={({ currentTarget }) => setKey(currentTarget.value)}
        />
        <Button size="xs" variant="default" onClick={addKey} disabled={key.trim() === ""}>
          Add metadata rule
        </Button>
      </Group>
    </>
  );
}

/** A cross, with a label for screen readers. */
function Remove({ what }: { what: string }) {
  return (
    <>
      <span aria-hidden>✕</span>
      <VisuallyHidden>Remove {what}</VisuallyHidden>
    </>
  );
}

// a type alias, since an interface is not assignable to a type with an index signature
type Choice = { name: string; value: string; label: string };

function choice(name: string, label: string): Choice {
  return { name, value: name, label };
}

function toField({ name, label, valueType, operators, values }: RuleField): Field {
  const choices = valueType === "boolean" ? BOOLEANS : (values?.map((value) => choice(value, value)) ?? null);
  const field: Field = {
    name,
    value: name,
    label,
    operators: operators.map((operator): Operator => ({
      name: operator,
      value: operator,
      label: OPERATORS[operator] ?? operator,
    })),
    inputType: valueType === "number" ? "number" : "text",
    placeholder: valueType === "time" ? "2026-01-31 or -30d" : undefined,
  };
  if (choices === null) return field;
  return {
    ...field,
    values: choices,
    defaultValue: choices[0]?.name ?? "",
    valueEditorType: (operator): ValueEditorType =>
      operator === "in" || operator === "notIn" ? "multiselect" : "select",
  };
}
