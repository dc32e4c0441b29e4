// An OpenID Connect issuer on its own port, built on the package oidc-provider. Users enter a role when they sign in,
// and have it in the organization ORG. Tokens live for TTL seconds. Access tokens are JWTs if a resource is
// requested, and opaque otherwise. Prints its address once it listens.
//
// GET /lifetime/SECONDS changes the lifetime of new tokens. After GET /refuse, it refuses to renew tokens.
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import Provider from "oidc-provider";

const { ORG, TTL } = process.env;
let lifetime = Number(TTL);
const server = createServer().listen(0, "127.0.0.1");
await once(server, "listening");
const address = `http://127.0.0.1:${server.address().port}`;
const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });

const provider = new Provider(address, {
  clients: [
    {
      client_id: "campaigns-pages",
      token_endpoint_auth_method: "none",
      // with any port of the service
      application_type: "native",
      redirect_uris: ["http://127.0.0.1/sign-in", "http://127.0.0.1/mail/sign-in"],
      post_logout_redirect_uris: ["http://127.0.0.1/", "http://127.0.0.1/mail/"],
      grant_types: ["authorization_code", "refresh_token"],
      id_token_signed_response_alg: "ES256",
    },
  ],
  jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), kid: "test", use: "sig", alg: "ES256" }] },
  cookies: { keys: ["of the tests"] },
  claims: { openid: ["sub", "org_id", "role"] },
  conformIdTokenClaims: false,
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, org_id: ORG, role: id }) }),
  extraTokenClaims: (_, { accountId }) => ({ org_id: ORG, role: accountId }),
  clientBasedCORS: () => true,
  issueRefreshToken: () => true,
  ttl: { AccessToken: () => lifetime, IdToken: () => lifetime, Session: 3_600, Grant: 3_600, Interaction: 600, RefreshToken: 3_600 },
  features: {
    devInteractions: { enabled: false },
    rpInitiatedLogout: {
      enabled: true,
      logoutSource: (context, form) => {
        context.body = `<!doctype html><html lang="en"><title>Issuer</title><h1>Sign out?</h1>${form}
          <button form="op.logoutForm" name="logout" value="yes">Yes, sign me out</button></html>`;
      },
    },
    resourceIndicators: {
      enabled: true,
      useGrantedResource: () => true,
      getResourceServerInfo: (_, audience) => ({
        audience,
        scope: "",
        accessTokenTTL: lifetime,
        accessTokenFormat: "jwt",
        jwt: { sign: { alg: "ES256" } },
      }),
    },
  },
  interactions: { url: (_, { uid }) => `/interaction/${uid}` },
  // consent is granted without asking
  loadExistingGrant: async ({ oidc }) => {
    const { clientId } = oidc.client;
    const grant = new provider.Grant({ clientId, accountId: oidc.session.accountId });
    grant.addOIDCScope("openid");
    if (oidc.params.resource) grant.addResourceScope(oidc.params.resource, "");
    await grant.save();
    return grant;
  },
});

const PAGE = `<!doctype html><html lang="en"><title>Issuer</title><h1>Issuer</h1>
<form method="post">
  <label>Role <input name="role"></label>
  <button>Continue</button>
  <button name="isCanceled" value="yes">Cancel</button>
</form></html>`;

const answer = provider.callback();
let refuses = false;
server.on("request", async (request, response) => {
  if (request.url === "/refuse") {
    refuses = true;
    return response.end();
  }
  if (request.url.startsWith("/lifetime/")) {
    lifetime = Number(request.url.split("/").at(-1));
    return response.end();
  }
  if (request.url === "/token" && refuses) {
    response.writeHead(400, { "content-type": "application/json", "access-control-allow-origin": "*" });
    return response.end('{ "error": "invalid_grant" }');
  }
  if (!request.url.startsWith("/interaction/")) return answer(request, response);
  if (request.method === "GET") {
    const { prompt } = await provider.interactionDetails(request, response);
    if (prompt.name === "login") return response.setHeader("content-type", "text/html").end(PAGE);
    return provider.interactionFinished(request, response, { consent: {} }, { mergeWithLastSubmission: true });
  }
  let body = "";
  for await (const part of request) body += part;
  const form = new URLSearchParams(body);
  const result = form.has("isCanceled")
    ? { error: "access_denied", error_description: "The person changed their mind." }
    : { login: { accountId: form.get("role") } };
  await provider.interactionFinished(request, response, result);
});
console.log(address);
