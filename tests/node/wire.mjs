// A proxy to a service whose connections can be cut.

import { once } from "node:events";
import { connect, createServer } from "node:net";

/**
 * Starts a proxy. `cut` cuts all of its connections; new ones succeed, unless the service is `away`.
 */
export async function wire(address) {
  const { hostname, port } = new URL(address);
  const open = new Set();
  let isAway = false;
  const server = createServer((near) => {
    if (isAway) return near.destroy();
    const far = connect(Number(port), hostname);
    for (const [one, other] of [[near, far], [far, near]]) {
      open.add(one);
      one.pipe(other);
      one.on("error", () => {});
      one.on("close", () => {
        open.delete(one);
        other.destroy();
      });
    }
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const cut = () => {
    for (const socket of open) socket.destroy();
  };
  const away = (is) => {
    isAway = is;
    if (is) cut();
  };
  const end = () => {
    server.close();
    cut();
  };
  return { address: `http://127.0.0.1:${server.address().port}`, cut, away, end };
}
