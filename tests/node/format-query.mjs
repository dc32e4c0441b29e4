// Prints random rules as react-querybuilder's editor creates them, each with the SQL condition of its formatQuery:
// $COUNT lines of JSON, which depend on $SEED. Conditions are for columns of text that are not null, except `source`.
import { add, formatQuery, update } from "react-querybuilder";

// mulberry32
let state = Number(process.env.SEED) >>> 0;
function random() {
  state = (state + 0x6d2b79f5) >>> 0;
  let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
}
const below = (count) => Math.floor(random() * count);
const one = (of) => of[below(of.length)];

const texts = ["a", "b", "B", "ä", "10", "2", "it's", "x y"];
const operators = ["=", "!=", "<", "<=", ">", ">=", "in", "notIn", "between", "notBetween"];

function rule() {
  if (below(6) === 0) return { field: "source", operator: one(["null", "notNull"]), value: null };
  const operator = one(operators);
  const [first, second] = [one(texts), one(texts)];
  const value = /etween/.test(operator) ? [first, second].sort() : /n$/i.test(operator) ? [first, second] : first;
  return { field: one(["city", "title", "country"]), operator, value, valueSource: "value" };
}

function fill(query, path, depth) {
  for (let left = 1 + below(3); left > 0; left--) {
    const isGroup = depth > 0 && below(3) === 0;
    query = add(query, isGroup ? { combinator: one(["and", "or"]), rules: [] } : rule(), path);
    const at = [...path, left === 0 ? 0 : count(query, path) - 1];
    if (isGroup) query = fill(query, at, depth - 1);
    if (below(5) === 0) query = update(query, "muted", true, at);
    if (below(5) === 0) query = update(query, "disabled", true, at);
    if (below(6) === 0) query = update(query, "valueSource", "value", at);
  }
  return query;
}

const group = (query, path) => path.reduce((of, index) => of.rules[index], query);
const count = (query, path) => group(query, path).rules.length;
// formatQuery cannot negate an empty group
const isEmpty = (of) => Boolean(of.muted) || (of.rules?.every(isEmpty) ?? false);
function negated(of) {
  if (!of.rules) return of;
  const rules = of.rules.map(negated);
  return !isEmpty(of) && below(3) === 0 ? { ...of, rules, not: true } : { ...of, rules };
}

for (let number = 0; number < Number(process.env.COUNT); number++) {
  const empty = { combinator: one(["and", "or"]), rules: [] };
  const query = negated(fill(empty, [], 3));
  const format = one(["json", "json_without_ids"]);
  const sql = formatQuery(query, { format: "sql", parseNumbers: false });
  console.log(JSON.stringify({ rules: JSON.parse(formatQuery(query, { format })), sql }));
}
