// Sends valid and invalid random documents to the service, and compares its verdict with that of graphql-js. Reads
// URL, TOKEN, SCHEMA (a file), SEED and COUNT.
import { readFileSync } from "node:fs";
import {
  buildSchema, GraphQLError, isEnumType, isInputObjectType, isInputType, isInterfaceType, isLeafType, isListType,
  isNonNullType, isObjectType, Kind, getNamedType, getNullableType, parse, typeFromAST, validate,
} from "graphql";

const { URL: url, TOKEN: token, SCHEMA: file, SEED: seed = "1", COUNT: count = "500" } = process.env;
const schema = buildSchema(readFileSync(file, "utf8"));
// graphql-js accepts any value of a custom scalar, while the service validates times
schema.getType("DateTime").parseLiteral = (node) => {
  if (node.kind !== Kind.STRING) throw new GraphQLError("a time is a string");
  return node.value;
};

let state = Number(seed) >>> 0 || 1;
/** A number below `n`, by xorshift. */
function below(n) {
  state ^= state << 13; state >>>= 0;
  state ^= state >>> 17;
  state ^= state << 5; state >>>= 0;
  return state % n;
}
const chance = (percent) => below(100) < percent;
const pick = (list) => list[below(list.length)];

/** A document that is being generated: its variables and fragments. */
class Document {
  variables = new Map();
  fragments = [];
  wrong = chance(60);

  /** Sometimes another value, in a document that should be invalid. */
  or(right, ...others) {
    return this.wrong && chance(4) ? pick(others) : right;
  }

  literal(type, depth = 0) {
    const nullable = getNullableType(type);
    if (!isNonNullType(type) && chance(8)) return "null";
    if (this.wrong && chance(2)) return pick(["null", "{}", "[]", '"x"', "1", "1.5", "true", "NOTHING", "$nothing", "[[1]]"]);
    if (isListType(nullable)) {
      if (chance(15)) return this.value(nullable.ofType, depth);
      return `[${Array.from({ length: below(3) }, () => this.value(nullable.ofType, depth + 1)).join(", ")}]`;
    }
    if (isEnumType(nullable)) return this.or(pick(nullable.getValues()).name, '"OPEN"', "NOTHING");
    if (isInputObjectType(nullable)) {
      const fields = Object.values(nullable.getFields());
      const chosen = fields.filter((field) => (isNonNullType(field.type) && field.defaultValue === undefined) || (depth < 3 && chance(12)));
      const kept = this.wrong && chance(4) ? chosen.slice(1) : chosen;
      const written = kept.map((field) => `${this.or(field.name, "nothing")}: ${this.value(field.type, depth + 1)}`);
      if (written.length && this.wrong && chance(3)) written.push(written[0]);
      return `{ ${written.join(", ")} }`;
    }
    switch (nullable.name) {
      case "Int": return this.or(String(below(5)), "1.5", "3000000000", '"1"');
      case "Float": return this.or(pick(["1", "1.5", "-2e3"]), '"1"');
      case "Boolean": return this.or(pick(["true", "false"]), "1", '"true"');
      case "ID": return this.or(pick(['"00000000-0000-0000-0000-000000000000"', "7"]), "1.5", "true");
      case "DateTime": return this.or('"2026-01-31T12:00:00Z"', "1");
      case "String": return this.or(pick(['"x"', '"\\ud83d\\ude80"', '"\\u{1F680}"', '"""\n  x \\"""\n"""', '"é"']), "1", "x", '"\\x"', '"\\u{zz}"', '"');
      default: return pick(['{ a: 1 }', '"x"', "[1, { b: null }]", "true"]);
    }
  }

  /** A literal, or a variable of a matching or another type. */
  value(type, depth, hasDefault = false) {
    if (!chance(25)) return this.literal(type, depth);
    const name = `v${this.variables.size}`;
    let written = String(type);
    let byDefault = "";
    if (isNonNullType(type) && (hasDefault || chance(20))) {
      written = String(type.ofType);
      // without a default of the argument, the variable needs one
      if (!hasDefault || chance(30)) byDefault = ` = ${this.constant(type)}`;
    } else if (!isNonNullType(type) && chance(20)) {
      written = `${type}!`;
    }
    if (this.wrong && chance(6)) written = pick(["Int", "String!", "[ID!]", "ContactFilter", "Campaign", "Nothing", "SegmentFilter", "JSON!", `[${written}]`, "OrderDirection", written.replace(/!$/, "")]);
    if (this.wrong && chance(3)) byDefault = pick([" = null", ' = "x"', " = 1", " = $v0"]);
    this.variables.set(name, written + byDefault);
    return `$${name}`;
  }

  constant(type) {
    const kept = this.variables;
    this.variables = new Map();
    let literal;
    do literal = this.literal(type, 2); while (literal.includes("$") && !this.wrong);
    this.variables = kept;
    return literal;
  }

  directives() {
    let written = "";
    if (chance(8)) written += ` @${pick(["skip", "include"])}(if: ${this.value(schema.getDirective("skip").args[0].type)})`;
    if (this.wrong && chance(2)) written += pick([" @nothing", " @skip", " @deprecated", " @include(if: true) @include(if: false)", ' @skip(if: "x")', " @skip(unless: true)"]);
    return written;
  }

  field(field, depth, isRoot = false) {
    const args = field.args.filter((arg) => (isNonNullType(arg.type) && arg.defaultValue === undefined) || chance(12));
    const kept = this.wrong && chance(3) ? args.slice(1) : args;
    const written = kept.map((arg) => `${this.or(arg.name, "nothing")}: ${this.value(arg.type, 0, arg.defaultValue !== undefined)}`);
    if (written.length && this.wrong && chance(2)) written.push(written[0]);
    const alias = chance(12) ? `${pick(["a", "b", "id", "name"])}${this.wrong ? "" : below(1000)}: ` : "";
    const inner = getNamedType(field.type);
    const hasFields = isObjectType(inner) || isInterfaceType(inner);
    const inside = !isRoot && this.or(hasFields, !hasFields) ? ` { ${this.selections(hasFields ? inner : schema.getQueryType(), depth - 1)} }` : "";
    return `${alias}${this.or(field.name, "nothing")}${written.length ? `(${written.join(", ")})` : ""}${this.directives()}${inside}`;
  }

  /** A root field of a subscription, which cannot be skipped (a rule since graphql-js 17). */
  rootOf(field) {
    const directives = this.directives;
    this.directives = () => "";
    const written = this.field(field, 0, true);
    this.directives = directives;
    return `${written} { ${this.selections(getNamedType(field.type), 2)} }`;
  }

  selections(type, depth) {
    const fields = Object.values(type.getFields());
    const leaves = fields.filter((field) => isLeafType(getNamedType(field.type)) && !field.args.length);
    const written = [];
    for (let number = 1 + below(4); number > 0; number--) {
      const roll = below(100);
      if (depth > 0 && roll < 15) {
        const on = chance(50) ? type : pick(this.possible(type));
        written.push(`... ${chance(80) ? `on ${this.or(on.name, "Nothing", "Campaign", "ID")}` : on === type ? "" : `on ${on.name}`}${this.directives()} { ${this.selections(on, depth - 1)} }`);
      } else if (depth > 0 && roll < 25) {
        const name = this.or(`F${this.fragments.length}`, "F0");
        const place = this.fragments.push("") - 1;
        const on = chance(60) ? type : pick(this.possible(type));
        this.fragments[place] = `fragment F${place} on ${this.or(on.name, "Nothing", "String")} { ${this.selections(on, depth - 1)} }`;
        written.push(`...${name}${this.directives()}`);
      } else if (depth > 0 && roll < 70) {
        written.push(this.field(pick(fields), depth));
      } else if (leaves.length && roll < 92) {
        written.push(this.field(pick(leaves), depth));
      } else {
        written.push("__typename");
      }
    }
    return written.join(" ");
  }

  possible(type) {
    const objects = isInterfaceType(type) ? [...schema.getPossibleTypes(type)] : [type, ...type.getInterfaces()];
    return this.wrong && chance(10) ? [...objects, schema.getType("Contact"), schema.getType("CampaignStats")] : objects;
  }

  operation(kind, name) {
    this.variables = new Map();
    const root = { query: schema.getQueryType(), subscription: schema.getSubscriptionType() }[kind];
    const body = kind === "subscription"
      ? this.or(this.rootOf(pick(Object.values(root.getFields()))), "a: __typename", this.selections(root, 2))
      : this.selections(root, 3);
    const variables = [...this.variables].map(([name, type]) => `$${name}: ${type}`);
    if (this.wrong && chance(3)) variables.push(pick(["$unused: Int", "$v0: Int", "$x: Campaign"]));
    if (variables.length && this.wrong && chance(3)) variables.pop();
    return `${kind} ${name}${variables.length ? `(${variables.join(", ")})` : ""} { ${body} }`;
  }
}

/** A random document, the name of an operation of it, and values for its variables. */
function random() {
  const document = new Document();
  const kind = chance(10) ? "subscription" : "query";
  let text = document.operation(kind, "Q");
  if (document.wrong && chance(5)) text += pick([" query Q { __typename }", " { __typename }", " type X { a: Int }", " fragment Unused on Query { __typename }", " fragment F0 on Query { ...F0 }"]);
  text += document.fragments.join(" ");
  if (document.wrong && chance(10)) {
    const at = below(text.length), length = below(3);
    text = text.slice(0, at) + pick(["", "{", "}", "(", "$", "!", "@", '"', "x", ":", "...", "\u0000"]) + text.slice(at + length);
  }
  return text;
}

/** A value of a type, as JSON. */
function json(type) {
  const nullable = getNullableType(type);
  if (!isNonNullType(type)) return undefined;
  if (isListType(nullable)) return [];
  if (isEnumType(nullable)) return nullable.getValues()[0].name;
  if (isInputObjectType(nullable)) {
    const fields = Object.values(nullable.getFields()).filter((field) => isNonNullType(field.type) && field.defaultValue === undefined);
    return Object.fromEntries(fields.map((field) => [field.name, json(field.type)]));
  }
  return { Int: 1, Float: 1, Boolean: true, String: "x", ID: "00000000-0000-0000-0000-000000000000", DateTime: "2026-01-31T12:00:00Z" }[nullable.name] ?? {};
}

function verdict(text) {
  let ast;
  try { ast = parse(text); } catch (error) { return { code: "GRAPHQL_PARSE_FAILED", why: error.message, variables: {} }; }
  const errors = validate(schema, ast);
  if (errors.length) return { code: "GRAPHQL_VALIDATION_FAILED", why: errors.map((error) => error.message).join("; "), variables: {} };
  const variables = {};
  for (const definition of ast.definitions.find((one) => one.kind === Kind.OPERATION_DEFINITION).variableDefinitions) {
    const type = typeFromAST(schema, definition.type);
    if (isInputType(type) && !definition.defaultValue) variables[definition.variable.name.value] = json(type);
  }
  return { code: "valid", why: "", variables };
}

let different = 0;
const seen = { valid: 0, GRAPHQL_PARSE_FAILED: 0, GRAPHQL_VALIDATION_FAILED: 0 };
for (let number = 0; number < Number(count); number++) {
  const text = random();
  const { code, why, variables } = verdict(text);
  seen[code]++;
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/graphql-response+json", authorization: `Bearer ${token}` },
    body: JSON.stringify({ query: text, variables, operationName: /\bquery Q\b|\bsubscription Q\b/.test(text) ? "Q" : undefined }),
  });
  const body = await response.json();
  const first = body.errors?.[0];
  const answered = ["GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED"].includes(first?.extensions?.code) ? first.extensions.code : "valid";
  const isSyntax = answered === "GRAPHQL_PARSE_FAILED" && (first.message.includes("\n") || !Array.isArray(first.locations));
  if (answered !== code || first?.extensions?.code === "INTERNAL" || isSyntax) {
    // limits are checked before the rules
    if (first?.extensions?.code === "LIMIT_EXCEEDED") continue;
    different++;
    console.log(`${code} (${why}) is ${answered} (${first?.message ?? "no error"}, ${first?.extensions?.code}):\n  ${text.replaceAll("\n", "\\n")}\n  ${JSON.stringify(variables)}`);
    if (different >= 20) break;
  }
}
console.log(JSON.stringify(seen));
process.exit(different || Math.min(...Object.values(seen)) < Number(count) / 50 ? 1 : 0);
