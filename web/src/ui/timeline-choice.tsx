import { Group, NativeSelect } from "@mantine/core";
import type { TimeInterval } from "../../__generated__/graphql";
import { INTERVALS } from "../search";
import { timeZones, word } from "./format";

/** Chooses the interval and the time zone of a timeline. */
export function TimelineChoice({
  interval,
  zone,
  intervals = INTERVALS,
  onChoose,
}: {
  interval: TimeInterval;
  zone: string;
  intervals?: TimeInterval[];
  onChoose: (choice: { interval?: TimeInterval; zone?: string }) => void;
}) {
  return (
    <Group gap="xs">
      <NativeSelect
        size="xs"
        aria-label="Interval"
        value={interval}
        onChange={({ currentTarget: { value } }) =>
          onChoose({ interval: INTERVALS.find((known) => known === value) })
        }
        data={intervals.map((known) => ({ value: known, label: word(known) }))}
      />
      <NativeSelect
        size="xs"
        aria-label="Time zone"
        value={zone}
        onChange={({ currentTarget: { value } }) => onChoose({ zone: value })}
        data={[...new Set([zone, ...timeZones()])]}
      />
    </Group>
  );
}
