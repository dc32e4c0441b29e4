// Runs the audits of the package graphql-http against the service at $URL with $TOKEN. Prints a line for each that
// does not pass, and exits with 1 if there is one that is not a notice.
import { auditServer } from "graphql-http";

const { URL: url, TOKEN: token } = process.env;
const results = await auditServer({
  url,
  fetchFn: (address, options = {}) =>
    fetch(address, { ...options, headers: { ...options.headers, authorization: `Bearer ${token}` } }),
});
const failed = results.filter(({ status }) => status === "error" || status === "warn");
for (const { status, id, name, reason } of failed) console.log(`${status} ${id} ${name}: ${reason}`);
console.log(`${results.filter(({ status }) => status === "ok").length} of ${results.length} audits passed`);
process.exit(failed.length ? 1 : 0);
