import { Group, NativeSelect } from "@mantine/core";
import { useState } from "react";
import type { TimeInterval } from "../../__generated__/graphql";
import { INTERVALS } from "../search";
import { timeZones, word } from "./format";

/** Selects the interval and the time zone of a timeline. */
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
  // there are more than 400 zones, so the options are created when the field is opened
  const [zones, setZones] = useState<string[]>([]);
  const listZones = () => {
    if (zones.length === 0) setZones(timeZones());
  };
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
        onPointerEnter={listZones}
        onFocus={listZones}
        data={[...new Set([zone, ...zones])]}
      />
    </Group>
  );
}
