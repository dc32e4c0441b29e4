import "./ui/styles";

import { MantineProvider } from "@mantine/core";
import { RouterProvider } from "@tanstack/react-router";
import { setNonce } from "get-nonce";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { redirectToBase } from "./base";
import { router } from "./router";
import { completeSignIn, isCallback } from "./session/issuer";
import { watchAddress } from "./session/link";
import { styleNonce } from "./session/nonce";
import { Session } from "./session/session";
import { ownTimeZone } from "./ui/format";
import { preloadWhenQuiet } from "./ui/lazily";
import { theme, variables } from "./ui/theme";

/** The quiet time in milliseconds before other pages are preloaded, so that the first page has the network to itself. */
const QUIET = 3_000;

const isLeaving = redirectToBase();
const nonce = styleNonce();
// dialogs lock scrolling with a style element of their own
if (nonce !== undefined) setNonce(nonce);
const root = document.getElementById("root");
if (root === null) throw new Error("the page has a root");
if (isLeaving) {
  root.textContent = "";
} else if (isCallback) {
  root.textContent = "Signing in…";
  void completeSignIn();
} else {
  void watchAddress().then(() => {
    show(root);
    // computed while the page waits for its first response
    setTimeout(ownTimeZone);
    preloadWhenQuiet(QUIET);
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
