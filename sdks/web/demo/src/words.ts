/** What went wrong, for somebody who only wants to talk. */
import { NexusError, type DisconnectReason, type NexusErrorCode, type RemoteTrack } from "@nexus-rtc/web";

const ERRORS: Partial<Record<NexusErrorCode, string>> = {
  CONNECTION_FAILED: "The server cannot be reached. Check your network and try again.",
  TIMEOUT: "The server did not answer in time. Try again in a moment.",
  MEDIA_FAILED: "Sound and picture cannot get through: a firewall may block UDP.",
  NO_SFU_AVAILABLE: "No media server is free just now. Try again in a moment.",
  SFU_UNREACHABLE: "The media server cannot be reached. Try again in a moment.",
  SERVICE_UNAVAILABLE: "The server is busy. Try again in a moment.",
  ROOM_FULL: "This room is full.",
  ROOM_NOT_FOUND: "There is no such room.",
  TOKEN_EXPIRED: "Your invitation has expired. Load the page again.",
  PERMISSION_DENIED: "You are not allowed to do that in this room.",
  DEVICE_DENIED: "The browser was not allowed to use it. Allow it next to the address and try again.",
  DEVICE_NOT_FOUND: "None was found on this machine.",
  DEVICE_IN_USE: "Another program is using it.",
  DEVICE_TIMEOUT: "It did not start in time. Try again, or unplug it and plug it in.",
  PAGE_INACTIVE: "Bring this page to the front, click, and try again.",
  AUTOPLAY_BLOCKED: "The browser still holds the sound back. Click once more.",
  UNSUPPORTED: "This browser cannot do that here.",
};

const REASONS: Readonly<Record<DisconnectReason, string>> = {
  "client-left": "You have left the call.",
  replaced: "You have joined from somewhere else.",
  removed: "You have been put out of the room.",
  "room-closed": "The call has been ended.",
  "server-shutdown": "The server is being restarted. Join again in a moment.",
  "media-failed": "Sound and picture were lost.",
  "signaling-lost": "The connection to the server was lost.",
  "protocol-error": "Something went wrong between this page and the server.",
  "token-rejected": "Your invitation is not valid any more.",
  "join-failed": "The room could not be joined.",
};

export function errorInWords(error: unknown): string {
  if (!(error instanceof NexusError)) return "Something went wrong. Load the page again.";
  return ERRORS[error.code] ?? `${error.message} (${error.code})`;
}

/** Why a picture does not come; empty: nothing keeps it away. */
export function pauseInWords({ pauseReason, codec }: RemoteTrack): string {
  switch (pauseReason) {
    case null:
      return "";
    case "bandwidth":
      return "Paused: your connection is slow";
    case "unsupported-codec":
      return `Your browser cannot show ${codec === "unknown" ? "this picture" : codec.toUpperCase()}`;
    case "unknown":
      return "Paused";
  }
}

export const reasonInWords = (reason: DisconnectReason): string => REASONS[reason];
