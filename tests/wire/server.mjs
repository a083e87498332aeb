// A certified authorization server on a free loopback port: PKCE required, refresh tokens
// rotated, device flow, revocation, introspection. Prints its issuer as one line of JSON when it
// is ready, and ends with its standard input.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import Provider, { errors } from "oidc-provider";

const BRIEF = 3; // seconds
const { d, ...publicKey } = JSON.parse(readFileSync(new URL("client-key.json", import.meta.url)));
const byKey = { token_endpoint_auth_method: "private_key_jwt", jwks: { keys: [publicKey] } };

const ACCESS = "urn:ietf:params:oauth:token-type:access_token";
const EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";

const client = (id, extra) => ({
  client_id: id,
  application_type: "native",
  token_endpoint_auth_method: "none",
  grant_types: ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
  response_types: ["code"],
  redirect_uris: ["http://127.0.0.1/callback", "http://localhost/callback"],
  ...extra,
});

const http = createServer();
http.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${http.address().port}`;
  const provider = new Provider(issuer, {
    clients: [
      client("wire", { authorization_details_types: ["files"] }),
      client("wire-secret", {
        client_secret: "known only here",
        token_endpoint_auth_method: "client_secret_basic",
      }),
      client("wire-brief"),
      client("wire-key", { ...byKey, token_endpoint_auth_signing_alg: "ES256" }),
      client("wire-jwt", {
        client_secret: "a secret that is long enough to sign with",
        token_endpoint_auth_method: "client_secret_jwt",
      }),
      client("wire-par", { require_pushed_authorization_requests: true }),
      client("wire-par-brief"),
      client("wire-dpop", { dpop_bound_access_tokens: true }),
      client("wire-fapi", {
        ...byKey,
        require_pushed_authorization_requests: true,
        dpop_bound_access_tokens: true,
      }),
      client("wire-jar", { ...byKey, require_signed_request_object: true }),
      client("wire-robot", {
        client_secret: "a secret/with+odd=characters&",
        token_endpoint_auth_method: "client_secret_basic",
        grant_types: ["client_credentials", EXCHANGE],
        response_types: [],
        redirect_uris: [],
      }),
      client("wire-robot-key", {
        ...byKey,
        dpop_bound_access_tokens: true,
        grant_types: ["client_credentials"],
        response_types: [],
        redirect_uris: [],
      }),
      client("wire-web", {
        application_type: "web",
        client_secret: "a secret/with+odd=characters&",
        token_endpoint_auth_method: "client_secret_basic",
        redirect_uris: ["https://app.example/callback"],
      }),
    ],
    pkce: { required: () => true },
    rotateRefreshToken: true,
    scopes: ["openid", "offline_access", "email", "read"],
    clientAuthMethods: ["none", "client_secret_basic", "client_secret_post", "client_secret_jwt",
                        "private_key_jwt"],
    acrValues: ["urn:wire:bronze"],
    claims: { openid: ["sub"], email: ["email"] },
    conformIdTokenClaims: false,
    findAccount: (ctx, id) => ({
      accountId: id,
      claims: () => ({ sub: id, email: `${id}@wire.test` }),
    }),
    features: {
      devInteractions: { enabled: true },
      clientCredentials: { enabled: true },
      deviceFlow: { enabled: true },
      revocation: { enabled: true, allowedPolicy: () => true },
      introspection: { enabled: true, allowedPolicy: () => true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => undefined,
        useGrantedResource: () => false,
        getResourceServerInfo: (ctx, resource) => {
          const here = /^http:\/\/127\.0\.0\.1:\d+\//.test(resource);
          if (!here && !resource.startsWith("https://api.wire.test/")) throw new errors.InvalidTarget();
          return { scope: "read", accessTokenFormat: "jwt" };
        },
      },
      registration: { enabled: true },
      registrationManagement: { enabled: true },
      pushedAuthorizationRequests: { enabled: true },
      requestObjects: { request: true },
      richAuthorizationRequests: {
        enabled: true,
        ack: "experimental-01",
        types: {
          files: {
            validate: (ctx, detail) => {
              if (!Array.isArray(detail.actions)) throw new errors.InvalidAuthorizationDetails("no actions");
            },
          },
        },
        rarForAuthorizationCode: (ctx) => JSON.parse(ctx.oidc.params.authorization_details ?? "null") ?? undefined,
        rarForCodeResponse: (ctx) => ctx.oidc.authorizationCode.rar,
        rarForRefreshTokenResponse: (ctx) => ctx.oidc.refreshToken.rar,
        rarForIntrospectionResponse: (ctx, token) => token.rar,
      },
      jwtResponseModes: { enabled: true },
      dPoP: {
        enabled: true,
        nonceSecret: Buffer.alloc(32, "only for tests"),
        requireNonce: (ctx) => ctx.oidc.client?.clientId === "wire-fapi",
      },
    },
    ttl: { AccessToken: 3600,
           DeviceCode: (ctx, token, client) => (client.clientId === "wire-brief" ? 2 : 600),
           RefreshToken: 86400, IdToken: 3600,
           Interaction: 600, Session: 3600, Grant: 86400, AuthorizationCode: 60 },
    cookies: { keys: ["only for tests"] },
  });
  // the server keeps a pushed request for 60 seconds, which is no setting; those of one client end sooner
  const { prototype: pushed } = provider.PushedAuthorizationRequest;
  const { save } = pushed;
  pushed.save = function (lifetime) {
    const { iss } = JSON.parse(Buffer.from(this.request.split(".")[1], "base64url"));
    return save.call(this, iss === "wire-par-brief" ? BRIEF : lifetime);
  };
  provider.use(async (ctx, next) => {
    await next();
    if (ctx.body?.request_uri && ctx.oidc?.client?.clientId === "wire-par-brief") {
      ctx.body = { ...ctx.body, expires_in: BRIEF };
    }
  });
  // RFC 8693, by the server's own extension point: the subject is an access token of this server
  provider.registerGrantType(EXCHANGE, async (ctx) => {
    const { client, params } = ctx.oidc;
    const subject = await provider.AccessToken.find(params.subject_token);
    if (params.subject_token_type !== ACCESS || !subject) throw new errors.InvalidRequest("subject_token");
    const token = new provider.ClientCredentials({ client, scope: params.scope });
    ctx.body = {
      access_token: await token.save(),
      issued_token_type: ACCESS,
      token_type: "Bearer",
      expires_in: token.expiration,
      scope: params.scope,
    };
  }, ["subject_token", "subject_token_type", "actor_token", "actor_token_type",
      "requested_token_type", "audience", "scope", "resource"], ["audience", "resource"]);
  http.on("request", provider.callback());
  console.log(JSON.stringify({ issuer }));
});
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
