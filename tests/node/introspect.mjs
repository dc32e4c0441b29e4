// Sends graphql-js's full introspection query to the service at $URL with $TOKEN, and builds the schema from the
// response.
import { buildClientSchema, getIntrospectionQuery } from "graphql";

const { URL: url, TOKEN: token } = process.env;
const query = getIntrospectionQuery({
  descriptions: true,
  specifiedByUrl: true,
  directiveIsRepeatable: true,
  inputValueDeprecation: true,
});
const response = await fetch(url, {
  method: "POST",
  headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
  body: JSON.stringify({ query }),
});
const { data, errors } = await response.json();
if (errors) {
  console.log(JSON.stringify(errors, null, 2));
  process.exit(1);
}
const schema = buildClientSchema(data);
const undescribed = Object.values(schema.getTypeMap())
  .filter(({ name }) => !name.startsWith("__"))
  .flatMap((type) => [
    ...(type.description ? [] : [type.name]),
    ...Object.values(type.getFields?.() ?? {}).filter(({ description }) => !description).map(({ name }) => `${type.name}.${name}`),
  ]);
console.log(undescribed.length ? `without a description: ${undescribed.join(", ")}` : "everything has a description");
process.exit(undescribed.length ? 1 : 0);
