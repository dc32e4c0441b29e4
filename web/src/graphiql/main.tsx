import "./nonce";
import "graphiql/setup-workers/vite";
import "graphiql/style.css";
import "@graphiql/plugin-explorer/style.css";
import "./page.css";

import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { watchAddress } from "../session/link";
import { Page } from "./page";

const root = document.getElementById("root");
if (root === null) throw new Error("the page has a root");
void watchAddress().then(() =>
  createRoot(root).render(
    <StrictMode>
      <Page />
    </StrictMode>,
  ),
);
