import "./ui/styles";

import { MantineProvider } from "@mantine/core";
import { RouterProvider } from "@tanstack/react-router";
import { setNonce } from "get-nonce";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { moveBelow } from "./base";
import { router } from "./router";
import { comeBack, isBack } from "./session/issuer";
import { watchAddress } from "./session/link";
import { styleNonce } from "./session/nonce";
import { Session } from "./session/session";
import { ownTimeZone } from "./ui/format";
import { loadAll } from "./ui/lazily";
import { theme, variables } from "./ui/theme";

/** How long the first page has the network for itself. */
const QUIET = 3_000;

const isLeaving = moveBelow();
const nonce = styleNonce();
// dialogs hold the page still by a style element of their own
if (nonce !== undefined) setNonce(nonce);
const root = document.getElementById("root");
if (root === null) throw new Error("the page has a root");
if (isLeaving) {
  root.textContent = "";
} else if (isBack) {
  root.textContent = "Signing in …";
  void comeBack();
} else {
  void watchAddress().then(() => {
    show(root);
    // while the page waits for its first response
    setTimeout(ownTimeZone);
    setTimeout(loadAll, QUIET);
  });
}

function show(root: HTMLElement) {
  createRoot(root).render(
    <StrictMode>
      <MantineProvider
        theme={theme}
        cssVariablesResolver={variables}
        defaultColorScheme="auto"
        getStyleNonce={() => nonce ?? ""}
      >
        <Session>
          <RouterProvider router={router} />
        </Session>
      </MantineProvider>
    </StrictMode>,
  );
}
