// Validates queries against the schema: $QUERIES is a JSON file of texts by their source, $SCHEMA a file of SDL.
// Prints the errors, and exits with 1 if there are any.
import { readFileSync } from "node:fs";
import { buildSchema, parse, validate } from "graphql";

const schema = buildSchema(readFileSync(process.env.SCHEMA, "utf8"));
const queries = Object.entries(JSON.parse(readFileSync(process.env.QUERIES, "utf8")));
const faults = queries.flatMap(([from, text]) => {
  try {
    return validate(schema, parse(text)).map(({ message }) => `${from}: ${message}`);
  } catch ({ message }) {
    return [`${from}: ${message}`];
  }
});
for (const fault of faults) console.log(fault);
process.exit(faults.length ? 1 : 0);
