/**
 * What a session does about a media path that broke: ICE restarts (W3C webrtc, section 4.4.3.2; RFC 8445 section 9) while the
 * server still keeps the transport, so that a change of network costs a moment and not the call.
 */

/** The state of the media path, as in `RTCPeerConnection.connectionState`. */
export type MediaState = "new" | "connecting" | "connected" | "disconnected" | "failed" | "closed";

export type MediaPath =
  /** Never up so far: a failure is the end, as another attempt would meet the same network. */
  | { readonly name: "unproved" }
  | { readonly name: "up" }
  | {
      readonly name: "interrupted";
      readonly sinceMs: number;
      readonly nextRestartMs: number;
      /** The next offer is to carry new ICE credentials. */
      readonly restart: boolean;
    };

/** Most interruptions pass by themselves: a restart would only add to them. */
const RESTART_AFTER_MS = 2_000;
/** A restart is one round trip of signaling and some connectivity checks. */
const RESTART_EVERY_MS = 8_000;
/** The server's consent (RFC 7675) has expired by then: it has freed the transport. */
const GIVE_UP_AFTER_MS = 30_000;

export const UNPROVED: MediaPath = { name: "unproved" };

export function follow(path: MediaPath, media: MediaState, nowMs: number): MediaPath {
  switch (media) {
    case "connected":
      return { name: "up" };
    case "disconnected":
    case "failed":
      if (path.name === "unproved") return path;
      return interrupt(path, media === "failed" ? nowMs : nowMs + RESTART_AFTER_MS, nowMs);
    case "new":
    case "connecting":
    case "closed":
      return path;
  }
}

function interrupt(path: MediaPath, restartMs: number, nowMs: number): MediaPath {
  if (path.name !== "interrupted") return { name: "interrupted", sinceMs: nowMs, nextRestartMs: restartMs, restart: false };
  return { ...path, nextRestartMs: Math.min(path.nextRestartMs, restartMs) };
}

export function isLost(path: MediaPath, nowMs: number): boolean {
  return path.name === "interrupted" && nowMs - path.sinceMs >= GIVE_UP_AFTER_MS;
}

/** The path with a restart asked for; null when none is due. */
export function restartIfDue(path: MediaPath, nowMs: number): MediaPath | null {
  if (path.name !== "interrupted" || path.nextRestartMs > nowMs) return null;
  return { ...path, nextRestartMs: nowMs + RESTART_EVERY_MS, restart: true };
}

/** Whether the offer that is made now restarts ICE, and the path afterwards. */
export function takeRestart(path: MediaPath): readonly [MediaPath, boolean] {
  if (path.name !== "interrupted" || !path.restart) return [path, false];
  return [{ ...path, restart: false }, true];
}

export function nextPathDeadline(path: MediaPath): number | null {
  return path.name === "interrupted" ? Math.min(path.nextRestartMs, path.sinceMs + GIVE_UP_AFTER_MS) : null;
}
