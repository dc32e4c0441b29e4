// Says what of a schema's changes breaks clients: $BEFORE and $AFTER are files of SDL. Exits with 1 where something does.
import { readFileSync } from "node:fs";
import { CriticalityLevel, diff } from "@graphql-inspector/core";
import { buildSchema } from "graphql";

const [before, after] = [process.env.BEFORE, process.env.AFTER].map((file) => buildSchema(readFileSync(file, "utf8")));
const changes = await diff(before, after);
const breaking = changes.filter(({ criticality }) => criticality.level === CriticalityLevel.Breaking);
for (const { message } of breaking) console.log(message);
process.exit(breaking.length ? 1 : 0);
