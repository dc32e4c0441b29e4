/** Where the service is: at the root of its host, or below a path of it. */

const named = document.querySelector<HTMLMetaElement>('meta[name="base"]')?.content ?? "";

/** The path of the dashboard, with a slash at its end. Vite's development server leaves the placeholder there. */
export const base = named.startsWith("/") ? named : "/";

/** The path of the API. */
export const api = `${base}graphql`;

/** The address of the API's sockets. */
export function socketAddress(): string {
  const url = new URL(api, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  return url.href;
}

/**
 * Sends readers who came past the proxy, to the root of a service that is below a path, to that path: its links
 * all lead there. Returns whether it did.
 */
export function moveBelow(): boolean {
  const { pathname, search, hash } = location;
  if (`${pathname}/`.startsWith(base)) return false;
  location.replace(base + pathname.slice(1) + search + hash);
  return true;
}
