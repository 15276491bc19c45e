/** Errors and reasons as texts for users. */
import { NexusError, type DisconnectReason, type NexusErrorCode, type RemoteTrack } from "@nexus-rtc/web";

const ERRORS: Partial<Record<NexusErrorCode, string>> = {
  CONNECTION_FAILED: "The server cannot be reached. Check your network and try again.",
  TIMEOUT: "The server did not answer in time. Try again in a moment.",
  MEDIA_FAILED: "Audio and video do not get through: a firewall may be blocking UDP.",
  NO_SFU_AVAILABLE: "No media server is available. Try again in a moment.",
  SFU_UNREACHABLE: "The media server cannot be reached. Try again in a moment.",
  SERVICE_UNAVAILABLE: "The server is busy. Try again in a moment.",
  ROOM_FULL: "This room is full.",
  ROOM_NOT_FOUND: "This room does not exist.",
  RECORDING_NOT_FOUND: "This recording does not exist any more.",
  RECORDING_ENDED: "This recording has ended.",
  STORAGE_REFUSED: "The store refuses the recording. Its configuration must be corrected.",
  STORE_NOT_FOUND: "No store is configured for recordings.",
  NO_CAPACITY: "No recorder is free. Try again in a moment.",
  TOKEN_EXPIRED: "Your invitation has expired. Load the page again.",
  PERMISSION_DENIED: "You are not allowed to do that in this room.",
  DEVICE_DENIED: "The browser may not use it. Allow access next to the address and try again.",
  DEVICE_NOT_FOUND: "No such device was found.",
  DEVICE_IN_USE: "Another program is using it.",
  DEVICE_TIMEOUT: "It did not start in time. Try again, or disconnect it and connect it again.",
  PAGE_INACTIVE: "Bring this page to the front, click, and try again.",
  AUTOPLAY_BLOCKED: "The browser still blocks audio. Click once more.",
  UNSUPPORTED: "This browser does not support that here.",
};

const REASONS: Readonly<Record<DisconnectReason, string>> = {
  "client-left": "You have left the call.",
  replaced: "You have joined from another page.",
  removed: "You have been removed from the room.",
  "room-closed": "The call has been ended.",
  "server-shutdown": "The server is restarting. Join again in a moment.",
  "media-failed": "The media connection was lost.",
  "signaling-lost": "The connection to the server was lost.",
  "protocol-error": "Something went wrong between this page and the server.",
  "token-rejected": "Your invitation is no longer valid.",
  "join-failed": "The room could not be joined.",
};

export function errorText(error: unknown): string {
  if (!(error instanceof NexusError)) return "Something went wrong. Load the page again.";
  return ERRORS[error.code] ?? `${error.message} (${error.code})`;
}

/** An error of a request about recordings. The server says whether a deployment has no recorder, or it does not answer. */
export function recordingErrorText(error: unknown): string {
  if (!(error instanceof NexusError) || error.code !== "SERVICE_UNAVAILABLE") return errorText(error);
  return `Recordings are not available at the moment. ${error.message}`;
}

/** Why a video is paused; empty if it is not. */
export function pauseText({ pauseReason, codec }: RemoteTrack): string {
  switch (pauseReason) {
    case null:
      return "";
    case "bandwidth":
      return "Paused: your connection is slow";
    case "unsupported-codec":
      return `Your browser cannot decode ${codec === "unknown" ? "this video" : codec.toUpperCase()}`;
    case "unknown":
      return "Paused";
  }
}

export const reasonText = (reason: DisconnectReason): string => REASONS[reason];
