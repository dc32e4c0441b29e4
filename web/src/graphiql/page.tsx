import { explorerPlugin } from "@graphiql/plugin-explorer";
import { createGraphiQLFetcher, type Fetcher } from "@graphiql/toolkit";
import { GraphiQL, HISTORY_PLUGIN } from "graphiql";
import { createClient } from "graphql-ws";
import { useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import { api, base, socketAddress } from "../base";
import { FORBIDDEN } from "../session/connection";
import {
  hasEnded,
  issuerName,
  keepRenewed,
  renew,
  renewIfEnded,
  signIn,
  signOut,
} from "../session/issuer";
import { accept, decline, offer, type Offer, retry } from "../session/link";
import { ACCEPT, DECLINE, explained, Sessions, TITLE } from "../session/sessions";
import { share } from "../session/tabs";
import { authorization, endedBecause, keep, token, tokenStore } from "../session/token";
import { type Examples, examples, questions } from "./questions";

const EXPIRED = "The token is not valid, or it has expired.";

const plugins = [HISTORY_PLUGIN, explorerPlugin()];

/** GraphiQL for signed-in users, and the sign-in page otherwise. */
export function Page() {
  // another tab may sign in or out
  const isSignedIn = useSyncExternalStore(tokenStore.subscribe, () => tokenStore.get() !== null);
  const offered = useSyncExternalStore(offer.subscribe, offer.get);
  const end = useCallback((why: string | null) => void signOut(why), []);
  if (!isSignedIn) {
    return <SignIn onToken={(text) => (keep(text), share())} />;
  }
  return (
    <>
      <Explorer onEnd={end} />
      {offered && <Replace offer={offered} />}
    </>
  );
}

/** Asks before a link replaces the user's session. */
function Replace({ offer }: { offer: Offer }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const first = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    dialog.current?.showModal();
    // the browser would focus the other button
    first.current?.focus();
  }, []);
  return (
    <dialog ref={dialog} className="replace" aria-labelledby="replace" onClose={decline}>
      <h2 id="replace">{TITLE}</h2>
      <p>{explained(offer)}</p>
      <Sessions offer={offer} />
      <div className="actions">
        {offer.state === "question" && (
          <button type="button" className="quiet" onClick={accept}>
            {ACCEPT}
          </button>
        )}
        {offer.state === "failed" && (
          <button type="button" className="quiet" onClick={retry}>
            Try again
          </button>
        )}
        <button type="button" onClick={decline} ref={first}>
          {DECLINE}
        </button>
      </div>
    </dialog>
  );
}

function Explorer({ onEnd }: { onEnd: (why: string | null) => void }) {
  const [found, setFound] = useState<Examples | null>(null);
  const fetcher = useMemo(() => makeFetcher(onEnd), [onEnd]);
  useEffect(() => keepRenewed(() => {}), []);
  useEffect(() => {
    let isGone = false;
    void examples(onEnd).then((found) => !isGone && setFound(found));
    return () => {
      isGone = true;
    };
  }, [onEnd]);
  if (found === null) return <p className="notice">Loading GraphiQL…</p>;
  return (
    <main className="explorer">
      <h1>GraphiQL</h1>
      <GraphiQL
        fetcher={fetcher}
        plugins={plugins}
        defaultTabs={questions(found)}
        initialVariables={isFirstVisit() ? questions(found)[0]?.variables : undefined}
        shouldPersistHeaders={false}
        defaultEditorToolsVisibility="variables"
      >
        <GraphiQL.Logo>
          <nav className="session" aria-label="Session">
            <a href={base}>Dashboard</a>
            <button type="button" onClick={() => onEnd(null)}>
              Change token
            </button>
          </nav>
        </GraphiQL.Logo>
      </GraphiQL>
    </main>
  );
}

/** Whether the browser has no stored tabs yet. Only then are the variables of the first tab needed. */
function isFirstVisit(): boolean {
  return localStorage.getItem("graphiql:tabState") === null;
}

function SignIn({ onToken }: { onToken: (token: string) => void }) {
  const [text, setText] = useState("");
  const [why, setWhy] = useState(endedBecause);
  const leave = () =>
    signIn().catch((error: Error) => setWhy(`${issuerName} is not responding: ${error.message}`));
  return (
    <main className="sign-in">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (text.trim() !== "") onToken(text);
        }}
      >
        <h1>GraphiQL</h1>
        {why !== null && <p role="alert">{why}</p>}
        {issuerName !== null && (
          <button type="button" onClick={leave}>
            Sign in with {issuerName}
          </button>
        )}
        <label htmlFor="token">Token</label>
        <textarea
          id="token"
          rows={6}
          value={text}
          onChange={(event) => setText(event.target.value)}
          spellCheck={false}
          autoComplete="off"
          autoFocus
        />
        <p>
          All tabs of this page share the token until you close the last one. To print a token, run <code>campaigns token --org UUID</code>.
        </p>
        <button type="submit">{issuerName === null ? "Sign in" : "Sign in with the token"}</button>
      </form>
    </main>
  );
}

/** The result to show without a connection. GraphiQL would show the stack trace of the error. */
function unreachable(error: unknown): Response {
  // the user stopped the request
  if ((error as Error).name === "AbortError") throw error;
  return Response.json({ errors: [{ message: "There is no connection to the service." }] }, { status: 503 });
}

/** Creates a fetcher that uses the token of this tab, with subscriptions over a WebSocket. */
function makeFetcher(onEnd: (why: string) => void): Fetcher {
  let sent = token();
  return createGraphiQLFetcher({
    url: new URL(api, location.href).href,
    fetch: async (input, init) => {
      await renewIfEnded();
      // headers from the editor take precedence
      const ask = () =>
        fetch(input, {
          ...init,
          headers: { ...authorization(), ...(init?.headers as Record<string, string>) },
        }).catch(unreachable);
      let response = await ask();
      if (response.status === 401 && (await renew())) response = await ask();
      if (response.status === 401) onEnd(EXPIRED);
      return response;
    },
    wsClient: createClient({
      url: socketAddress(),
      connectionParams: async () => {
        await renewIfEnded();
        sent = token();
        return authorization();
      },
      on: {
        closed: (event) => {
          if ((event as CloseEvent).code === FORBIDDEN && !hasEnded(sent)) onEnd(EXPIRED);
        },
      },
    }),
  });
}
