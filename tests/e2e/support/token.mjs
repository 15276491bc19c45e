// Tokens as an application's server mints them (RFC 7519, HS256), valid and invalid.
// @ts-check
import { createHmac } from "node:crypto";

/** The development app of `nexus dev`. */
export const DEV_APP = "devkey";
export const DEV_SECRET = "devsecret-known-to-everybody-never-use-in-production";

/** @param {unknown} value */
const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

/**
 * @param {{room: string, identity: string, issuer?: string, expiresInS?: number, grants?: Record<string, boolean>}} claims
 * @param {string} [secret]
 */
export function mintToken({ room, identity, issuer = DEV_APP, expiresInS = 600, grants }, secret = DEV_SECRET) {
  const now = Math.floor(Date.now() / 1000);
  const payload = { iss: issuer, sub: identity, room, iat: now - 3600, exp: now + expiresInS, jti: `${now}-${Math.random()}`, ...(grants ? { grants } : {}) };
  const signed = `${encode({ alg: "HS256", typ: "JWT" })}.${encode(payload)}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}
