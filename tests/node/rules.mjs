// Sends exports of react-querybuilder to the service at $URL with $TOKEN: every operator of the editor, for every
// field that supports it, in each format. Prints a line for each that is refused, and exits with 1 if there is one.
import { add, defaultOperators, formatQuery, joinWith } from "react-querybuilder";

const { URL: url, TOKEN: token } = process.env;

async function ask(query, variables) {
  const response = await fetch(url, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ query, variables }),
  });
  return response.json();
}

// values as the editor's inputs return them: text for numbers, a boolean for a checkbox
const id = "01890a5d-ac96-774b-bcce-b302099a8057";
const values = {
  text: ["Acme, Inc.", "b"],
  enum: ["lead", "customer"],
  id: [id, id],
  time: ["2026-01-31", "-30d"],
  number: ["5", "10"],
  boolean: [true, false],
  json: ["pro", "basic"],
};

const { data } = await ask("{ segmentFields { name valueType operators } }");
const known = new Set(defaultOperators.map(({ name }) => name));
let [refused, taken] = [0, 0];
for (const { name: field, valueType, operators } of data.segmentFields) {
  let query = { combinator: "and", not: false, rules: [] };
  for (const operator of operators) {
    if (!known.delete(operator) && !defaultOperators.some(({ name }) => name === operator)) {
      console.log(`react-querybuilder has no operator ${operator}`);
      refused++;
    }
    const [one, two] = values[valueType];
    const forms = /null/i.test(operator)
      ? [null, ""]
      : /^(in|notIn|between|notBetween)$/.test(operator)
        ? [[one, two], joinWith([one, two], ",")]
        : [one];
    for (const value of forms) query = add(query, { field, operator, value, valueSource: "value" }, []);
  }
  for (const format of ["json", "json_without_ids"]) {
    for (const options of [{}, { parseNumbers: true }]) {
      const rules = JSON.parse(formatQuery(query, { format, ...options }));
      const { errors } = await ask("query ($rules: JSON!) { previewSegment(rules: $rules) { count } }", { rules });
      if (errors) {
        console.log(field, format, options, errors[0].message, errors[0].extensions);
        refused++;
      } else taken++;
    }
  }
}
for (const operator of known) console.log(`no field takes ${operator}`);
console.log(`${taken} exports were taken`);
process.exit(refused || known.size || !taken ? 1 : 0);
