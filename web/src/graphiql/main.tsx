import "./nonce";
import "graphiql/setup-workers/vite";
import "graphiql/style.css";
import "@graphiql/plugin-explorer/style.css";
import "./page.css";

import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { takeFromAddress } from "../session/token";
import { Page } from "./page";

takeFromAddress();
const root = document.getElementById("root");
if (root === null) throw new Error("the page has a root");
createRoot(root).render(
  <StrictMode>
    <Page />
  </StrictMode>,
);
