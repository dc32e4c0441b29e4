import { Text } from "@mantine/core";
import type { RuleGroupType } from "react-querybuilder";
import { useCallback, useEffect, useMemo } from "react";
import { type CombinedError, createRequest, useQuery } from "urql";
import { graphql } from "../../__generated__";
import { CONTACT_COLUMNS } from "../contacts/columns";
import { count } from "../ui/format";
import { Rows } from "../ui/rows";
import { useRetry } from "../ui/query";
import { Busy, Empty, Failed, Loading, messageOf, Panel } from "../ui/states";
import type { RuleError } from "./rule-editor";

const PreviewOf = graphql(`
  query Preview($rules: JSON!) {
    previewSegment(rules: $rules) {
      count
      contacts(first: 20) { ...ContactColumns }
    }
  }
`);

/** A preview of the contacts that unsaved rules select. */
export function Preview({
  rules,
  isComplete,
  onRefusal,
}: {
  rules: RuleGroupType;
  isComplete: boolean;
  /** Called with the service's error about the rules, or null. */
  onRefusal: (rules: RuleGroupType, error: RuleError | null) => void;
}) {
  const [{ data, error, fetching, operation }, again] = useQuery({
    query: PreviewOf,
    variables: { rules },
    pause: !isComplete,
    requestPolicy: "cache-and-network",
  });
  const preview = data?.previewSegment;
  const reload = useCallback(() => again({ requestPolicy: "network-only" }), [again]);
  // compared by key, since equal rules in another object are not requested again
  const { key } = useMemo(() => createRequest(PreviewOf, { rules }), [rules]);
  const isCurrent = !fetching && operation?.key === key;
  useRetry(isComplete ? error : undefined, fetching, reload);
  useEffect(() => {
    if (isCurrent) onRefusal(rules, error ? ruleError(error) : null);
  }, [isCurrent, rules, error, onRefusal]);
  const isWrong = error !== undefined && isCurrent && isComplete;
  const isCounted = preview !== undefined && isCurrent && !error;
  return (
    <Panel title="Preview">
      <Text px="md" pb="xs" role="status" c={isComplete ? undefined : "dimmed"}>
        {!isComplete
          ? "Enter a value for each rule to preview the matching contacts."
          : isWrong
            ? "These rules cannot be counted."
            : isCounted
              ? matching(preview.count, preview.contacts.length)
              : "Counting…"}
      </Text>
      {isWrong ? (
        <Failed error={error} onRetry={error.networkError ? reload : undefined} />
      ) : preview === undefined ? (
        isComplete && <Loading />
      ) : preview.contacts.length === 0 ? (
        <Empty title="No matching contacts" />
      ) : (
        <Busy isBusy={!isCounted}>
          <Rows label="Matching contacts" columns={CONTACT_COLUMNS} rows={preview.contacts} />
        </Busy>
      )}
    </Panel>
  );
}

function matching(all: number, shown: number): string {
  const contacts = all === 1 ? "1 contact matches" : `${count(all)} contacts match`;
  return all > shown ? `${contacts}. The first ${count(shown)} are shown.` : contacts;
}

/** The error about rules, with its path. Null for other errors. */
function ruleError(error: CombinedError): RuleError | null {
  const [first] = error.graphQLErrors;
  if (first?.extensions.code !== "BAD_USER_INPUT") return null;
  const field = String(first.extensions.field);
  // rules.rules.1.rules.0.value is the first rule of the second group
  const path = [...field.matchAll(/\.rules\.(\d+)/g)].map(([, place]) => Number(place));
  return { path, message: messageOf(error) };
}
