// Prints the changes of a schema that break clients: $BEFORE and $AFTER are files of SDL. Exits with 1 if there are
// any.
import { readFileSync } from "node:fs";
import { CriticalityLevel, diff } from "@graphql-inspector/core";
import { buildSchema } from "graphql";

const [before, after] = [process.env.BEFORE, process.env.AFTER].map((file) => buildSchema(readFileSync(file, "utf8")));
const changes = await diff(before, after);
const breaking = changes.filter(({ criticality }) => criticality.level === CriticalityLevel.Breaking);
for (const { message } of breaking) console.log(message);
process.exit(breaking.length ? 1 : 0);
