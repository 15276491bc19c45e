/** The error class of the SDK: a stable code for programs, a sentence for readers, and the cause. */

/** Codes that the server sends; docs/reference/errors.md describes them. */
export type ServerErrorCode =
  | "INVALID_MESSAGE"
  | "MESSAGE_TOO_LARGE"
  | "RATE_LIMITED"
  | "NOT_JOINED"
  | "ALREADY_JOINED"
  | "INVALID_ARGUMENT"
  | "INVALID_SDP"
  | "UNSUPPORTED_CODEC"
  | "UNSUPPORTED_SUBPROTOCOL"
  | "JOIN_TIMEOUT"
  | "DATA_TOO_LARGE"
  | "TOKEN_MISSING"
  | "TOKEN_INVALID"
  | "TOKEN_EXPIRED"
  | "TOKEN_NOT_YET_VALID"
  | "APP_MISMATCH"
  | "ROOM_MISMATCH"
  | "PERMISSION_DENIED"
  | "ROOM_NOT_FOUND"
  | "PARTICIPANT_NOT_FOUND"
  | "TRACK_NOT_FOUND"
  | "SLOTS_EXHAUSTED"
  | "ROOM_FULL"
  | "TOO_MANY_ROOMS"
  | "TOO_MANY_TRACKS"
  | "RECORDING_NOT_FOUND"
  | "STORE_NOT_FOUND"
  | "RECORDING_ENDED"
  | "NO_SFU_AVAILABLE"
  | "SFU_UNREACHABLE"
  | "NODE_DRAINING"
  | "INTERNAL"
  | "SERVICE_UNAVAILABLE"
  | "STORAGE_REFUSED"
  | "NO_CAPACITY";

/** Codes that arise in the browser. */
export type ClientErrorCode =
  /** The WebSocket could not be opened or was lost. */
  | "CONNECTION_FAILED"
  /** The server did not answer in time. */
  | "TIMEOUT"
  /** The caller's `AbortSignal` fired. */
  | "ABORTED"
  /** The room is closed. */
  | "CLOSED"
  /** ICE or DTLS failed. */
  | "MEDIA_FAILED"
  /** The browser rejected an offer or answer. */
  | "NEGOTIATION_FAILED"
  /** The user or the system denied access to a camera, microphone or screen. */
  | "DEVICE_DENIED"
  | "DEVICE_NOT_FOUND"
  /** Another program is using the device. */
  | "DEVICE_IN_USE"
  /** The device did not start in time (`TimeoutError`). */
  | "DEVICE_TIMEOUT"
  /** The page is not active, or requested a screen without a click or key press (`InvalidStateError`). */
  | "PAGE_INACTIVE"
  /** The browser blocks audio until the user has interacted with the page. */
  | "AUTOPLAY_BLOCKED"
  /** The browser does not support the operation. */
  | "UNSUPPORTED"
  /** The server sent a code that this version does not know. */
  | "UNKNOWN";

export type NexusErrorCode = ServerErrorCode | ClientErrorCode;

export interface NexusErrorOptions {
  readonly details?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
  /** How long to wait before the same request may succeed; 0 if it will not. */
  readonly retryAfterMs?: number;
}

/** Thrown by every call of the SDK that fails, and the payload of the room's `error` event. */
export class NexusError extends Error {
  override readonly name = "NexusError";
  readonly code: NexusErrorCode;
  readonly details: Readonly<Record<string, string>>;
  readonly retryAfterMs: number;

  constructor(code: NexusErrorCode, message: string, options: NexusErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
    this.retryAfterMs = options.retryAfterMs ?? 0;
  }

  /** The cause itself if it is a `NexusError`, else a `NexusError` around it. */
  static from(cause: unknown, code: NexusErrorCode, message: string): NexusError {
    if (cause instanceof NexusError) return cause;
    const reason = cause instanceof Error && cause.message !== "" ? `${message}: ${cause.message}` : message;
    return new NexusError(code, reason, { cause });
  }
}
