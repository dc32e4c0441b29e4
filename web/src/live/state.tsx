import { Badge } from "@mantine/core";
import { useSyncExternalStore } from "react";
import { type Connection, liveConnection } from "../session/connection";

const SHOWN: Record<Connection, { color: string; text: string }> = {
  idle: { color: "gray", text: "Not connected" },
  connecting: { color: "yellow", text: "Connecting" },
  connected: { color: "pine", text: "Live" },
  lost: { color: "red", text: "Connection lost, reconnecting" },
};

/** The state of the live connection. */
export function LiveState() {
  const connection = useSyncExternalStore(liveConnection.subscribe, liveConnection.get);
  const { color, text } = SHOWN[connection];
  return (
    <Badge variant="dot" color={color} tt="none" fw={500} role="status">
      {text}
    </Badge>
  );
}
