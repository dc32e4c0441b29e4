// The audits of the package graphql-http, against the service at $URL with $TOKEN: a line for each
// that did not pass, and exit 1 where there is one, a notice excepted.
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
