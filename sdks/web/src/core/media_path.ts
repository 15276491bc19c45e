/**
 * Repairs a broken media path by ICE restarts (W3C webrtc, section 4.4.3.2; RFC 8445 section 9) while the server still keeps
 * the transport, so that a change of network interrupts a call but does not end it.
 */

/** The state of the media path, as in `RTCPeerConnection.connectionState`. */
export type MediaState = "new" | "connecting" | "connected" | "disconnected" | "failed" | "closed";

export type MediaPath =
  /** Never connected so far. A failure ends the session, because another attempt would meet the same network. */
  | { readonly name: "unproved" }
  | { readonly name: "up" }
  | {
      readonly name: "interrupted";
      readonly sinceMs: number;
      readonly nextRestartMs: number;
      /** The next offer has to carry new ICE credentials. */
      readonly restart: boolean;
    };

/** How long an interruption lasts before the first restart. Most end by themselves. */
const RESTART_AFTER_MS = 2_000;
/** Interval between restarts: one takes a round trip of signaling and some connectivity checks. */
const RESTART_EVERY_MS = 8_000;
/** How long an interruption may last: by then consent (RFC 7675) has expired and the server has freed the transport. */
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

/** The path with a restart requested; null if none is due. */
export function restartIfDue(path: MediaPath, nowMs: number): MediaPath | null {
  if (path.name !== "interrupted" || path.nextRestartMs > nowMs) return null;
  return { ...path, nextRestartMs: nowMs + RESTART_EVERY_MS, restart: true };
}

/** The path after an offer has been created, and whether that offer restarts ICE. */
export function takeRestart(path: MediaPath): readonly [MediaPath, boolean] {
  if (path.name !== "interrupted" || !path.restart) return [path, false];
  return [{ ...path, restart: false }, true];
}

export function nextPathDeadline(path: MediaPath): number | null {
  return path.name === "interrupted" ? Math.min(path.nextRestartMs, path.sinceMs + GIVE_UP_AFTER_MS) : null;
}
