/** The location of the service: the root of its host, or a path below it. */

const named = document.querySelector<HTMLMetaElement>('meta[name="base"]')?.content ?? "";

/** The path of the dashboard, with a trailing slash. Vite's development server does not replace the placeholder. */
export const base = named.startsWith("/") ? named : "/";

/** The path of the API. */
export const api = `${base}graphql`;

/** The URL of the API's WebSocket. */
export function socketAddress(): string {
  const url = new URL(api, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  return url.href;
}

/**
 * Redirects a page that was loaded without the service's base path, past the proxy, to the base path: all links lead
 * there. Returns whether it redirects.
 */
export function redirectToBase(): boolean {
  const { pathname, search, hash } = location;
  if (`${pathname}/`.startsWith(base)) return false;
  location.replace(base + pathname.slice(1) + search + hash);
  return true;
}
