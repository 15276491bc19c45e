/** Reads the claims of a JWT (RFC 7519) that the client uses. Only the server can verify it. */
import { NexusError } from "./error.js";

export interface TokenClaims {
  /** The app's key id. */
  readonly iss: string | null;
  readonly room: string | null;
  /** The server's URL. */
  readonly url: string | null;
  /** The highest level of telemetry: "on", "quality" or "off". */
  readonly telemetry: string | null;
}

const text = (value: unknown): string | null => (typeof value === "string" && value !== "" ? value : null);

/** Throws `TOKEN_INVALID` if the token is not a JWT. */
export function readTokenClaims(token: string): TokenClaims {
  const payload = token.split(".")[1];
  if (payload === undefined) throw new NexusError("TOKEN_INVALID", "The token is not a JWT.");
  try {
    // base64url (RFC 7515 section 2) of UTF-8.
    const binary = atob(payload.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(binary, (char) => char.charCodeAt(0));
    const claims: unknown = JSON.parse(new TextDecoder().decode(bytes));
    if (typeof claims !== "object" || claims === null) throw new TypeError("the claims are not an object");
    const { iss, room, url, telemetry } = claims as Record<string, unknown>;
    return { iss: text(iss), room: text(room), url: text(url), telemetry: text(telemetry) };
  } catch (cause) {
    throw new NexusError("TOKEN_INVALID", "The token's claims cannot be read.", { cause });
  }
}
