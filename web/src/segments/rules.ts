import type { RuleGroupType, RuleType } from "react-querybuilder";
import type { RuleFieldsQuery } from "../../__generated__/graphql";

/** A field of segment rules, as the API describes it. */
export type RuleField = RuleFieldsQuery["segmentFields"][number];

/** The field that represents any metadata key. */
export const ANY_KEY = "metadata.KEY";

/** The empty rules, which select all contacts. */
export const EVERYONE: RuleGroupType = { combinator: "and", rules: [] };

/** Converts stored rules for the editor. They can also be a flat object with a value for each field. */
export function toEditor(stored: unknown): RuleGroupType {
  if (typeof stored !== "object" || stored === null) return EVERYONE;
  if ("rules" in stored && Array.isArray(stored.rules)) {
    return { combinator: "and", ...stored } as RuleGroupType;
  }
  const rules = Object.entries(stored).map(([field, value]) => ({ field, operator: "=", value }));
  return { combinator: "and", rules };
}

/** Converts the editor's rules for the API, with each value in the type of its field. */
export function fromEditor(group: RuleGroupType, fields: Map<string, RuleField>): RuleGroupType {
  return {
    combinator: group.combinator,
    not: group.not ?? false,
    rules: group.rules.map((rule) =>
      "rules" in rule ? fromEditor(rule, fields) : ofRule(rule, fields),
    ),
  };
}

function ofRule({ field, operator, value }: RuleType, fields: Map<string, RuleField>): RuleType {
  const type = fields.get(field)?.valueType ?? "json";
  const typed = Array.isArray(value) ? value.map((item) => typedAs(type, item)) : typedAs(type, value);
  return { field, operator, value: typed };
}

function typedAs(type: string, value: unknown): unknown {
  if (typeof value !== "string") return value;
  const text = value.trim();
  const isNumber = text !== "" && Number.isFinite(Number(text));
  if (type === "number") return isNumber ? Number(text) : value;
  if (type === "boolean") return text === "true";
  if (type === "json" && (isNumber || text === "true" || text === "false")) return JSON.parse(text);
  return value;
}

/** The metadata fields in rules. */
export function metadataFields(group: RuleGroupType): string[] {
  return group.rules.flatMap((rule) =>
    "rules" in rule
      ? metadataFields(rule)
      : rule.field.startsWith("metadata.") && rule.field !== ANY_KEY
        ? [rule.field]
        : [],
  );
}

/** Whether each rule that needs a value has one. */
export function isComplete(group: RuleGroupType): boolean {
  return group.rules.every((rule) => {
    if ("rules" in rule) return isComplete(rule);
    if (rule.operator === "null" || rule.operator === "notNull") return true;
    const values: unknown[] = Array.isArray(rule.value) ? rule.value : [rule.value];
    return values.length > 0 && values.every((value) => value !== "" && value != null);
  });
}
