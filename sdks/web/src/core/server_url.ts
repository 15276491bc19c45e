/** The URLs of the server: from the caller, else from the token's `url` claim, else from the page's origin. */
import { NexusError } from "./error.js";

const SOCKET_SCHEME: Readonly<Record<string, string>> = {
  "http:": "ws:",
  "https:": "wss:",
  "ws:": "ws:",
  "wss:": "wss:",
};

/** Path of the signaling service for sessions. */
const SESSION_PATH = "/v1/rtc";

/** The URL of the session's WebSocket. Throws `INVALID_ARGUMENT`. */
export function sessionUrl(
  serverUrl: string | undefined,
  claimedUrl: string | null,
  pageOrigin: string | null,
): string {
  const address = serverUrl ?? claimedUrl ?? pageOrigin;
  if (address === null) {
    throw new NexusError("INVALID_ARGUMENT", "There is no server address: pass `serverUrl`, or a token with the claim `url`.");
  }
  let url: URL;
  try {
    url = new URL(address);
  } catch (cause) {
    throw new NexusError("INVALID_ARGUMENT", "The server's address is not a URL.", { cause, details: { address } });
  }
  const scheme = SOCKET_SCHEME[url.protocol];
  if (scheme === undefined) {
    const details = { address };
    throw new NexusError("INVALID_ARGUMENT", "The server's address must be http(s) or ws(s).", { details });
  }
  const prefix = url.pathname.replace(/\/+$/, "");
  const path = prefix.endsWith(SESSION_PATH) ? prefix : prefix + SESSION_PATH;
  return `${scheme}//${url.host}${path}`;
}

/** The URL for HTTP requests to the server of a session. `path` begins with a slash. */
export function requestUrl(session: string, path: string): string {
  return `${session.slice(0, -SESSION_PATH.length).replace(/^ws/, "http")}${path}`;
}
