/** Data messages to and from the participants of a room, over the session's data channels. */
import {
  MAX_DATA_BYTES,
  MAX_DESTINATIONS,
  MAX_TOPIC_BYTES,
  readEnvelope,
  writeMessages,
  type DataEnvelope,
} from "../core/data_envelope.js";
import { DataParts } from "../core/data_parts.js";
import { NexusError } from "../core/error.js";
import type { Grants, ParticipantId } from "../core/model.js";
import type { DataLink, Delivery } from "../edge/data_link.js";
import type { RemoteParticipant } from "./remote_participant.js";

/** Delivery and destinations of a message. */
export interface PublishDataOptions {
  /** The topic of the message; at most 128 bytes in UTF-8. */
  readonly topic?: string;
  /** Retransmitted until it arrives; otherwise it may be lost and is never late. Default: true. */
  readonly reliable?: boolean;
  /** Whether messages arrive in order. Default: the value of `reliable`. */
  readonly ordered?: boolean;
  /** Identities or participants, at most 32. Default: all participants. */
  readonly to?: DataDestination | readonly DataDestination[];
}

/** A participant of the room, or its identity. */
export type DataDestination = string | RemoteParticipant;

/** The sender and delivery of a message. */
export interface DataInfo {
  /** Null for messages of the server and of hidden participants. */
  readonly participant: RemoteParticipant | null;
  readonly fromServer: boolean;
  readonly topic: string;
  /** Sent to some participants only, this one among them. */
  readonly directed: boolean;
  readonly reliable: boolean;
}

/** Maximum number of messages kept for senders that are not known yet; the oldest are dropped beyond it. */
const MAX_EARLY = 64;

interface Early {
  readonly envelope: DataEnvelope;
  readonly delivery: Delivery;
}

/** @internal */
export class RoomData {
  readonly #link: DataLink;
  readonly #participants: ReadonlyMap<ParticipantId, RemoteParticipant>;
  readonly #emit: (payload: Uint8Array | string, info: DataInfo) => void;
  readonly #parts = new DataParts();
  #early: Early[] = [];

  constructor(
    link: DataLink,
    participants: ReadonlyMap<ParticipantId, RemoteParticipant>,
    emit: (payload: Uint8Array | string, info: DataInfo) => void,
  ) {
    this.#link = link;
    this.#participants = participants;
    this.#emit = emit;
  }

  async publish(grants: Grants, payload: Uint8Array | string, options: PublishDataOptions): Promise<void> {
    if (!grants.data) throw new NexusError("PERMISSION_DENIED", "The token does not grant data.", { details: { grant: "data" } });
    const text = typeof payload === "string";
    const bytes = text ? new TextEncoder().encode(payload) : payload;
    if (bytes.length > MAX_DATA_BYTES) throw tooMuch("DATA_TOO_LARGE", "The message is too large.", MAX_DATA_BYTES);
    const { topic = "", reliable = true, to = [] } = options;
    if (new TextEncoder().encode(topic).length > MAX_TOPIC_BYTES) {
      throw tooMuch("INVALID_ARGUMENT", "The topic is too long.", MAX_TOPIC_BYTES);
    }
    const destinations = (Array.isArray(to) ? to : [to]) as readonly DataDestination[];
    if (destinations.length > MAX_DESTINATIONS) {
      throw tooMuch("INVALID_ARGUMENT", "The message has too many destinations.", MAX_DESTINATIONS);
    }
    if (options.to !== undefined && destinations.length === 0) return;
    const ids = destinations.map((destination) => this.#idOf(destination));
    const [number = 0] = crypto.getRandomValues(new Uint32Array(1));
    const messages = writeMessages(text, topic, ids, bytes, number);
    await this.#link.send({ reliable, ordered: options.ordered ?? reliable }, messages);
  }

  receive(message: Uint8Array, delivery: Delivery): void {
    const read = readEnvelope(message);
    if (read === null) return; // a newer version
    const envelope = this.#parts.take(read);
    if (envelope === null) return; // the other part is missing
    const early = { envelope, delivery };
    // Data may arrive before signaling announces its sender.
    if (envelope.sender !== "" && !this.#participants.has(envelope.sender as ParticipantId)) {
      this.#early = [...this.#early.slice(1 - MAX_EARLY), early];
      return;
    }
    this.#deliver(early);
  }

  /** Delivers the messages of a participant that has just joined. */
  release(id: ParticipantId): void {
    const released = this.#early.filter(({ envelope }) => envelope.sender === id);
    this.#early = this.#early.filter(({ envelope }) => envelope.sender !== id);
    for (const early of released) this.#deliver(early);
  }

  #deliver({ envelope, delivery }: Early): void {
    const { text, fromServer, directed, sender, topic, payload } = envelope;
    const participant = this.#participants.get(sender as ParticipantId) ?? null;
    const content = text ? new TextDecoder().decode(payload) : payload;
    this.#emit(content, { participant, fromServer, topic, directed, reliable: delivery.reliable });
  }

  #idOf(destination: DataDestination): ParticipantId {
    if (typeof destination !== "string") return destination.id;
    for (const participant of this.#participants.values()) {
      if (participant.identity === destination) return participant.id;
    }
    throw new NexusError("PARTICIPANT_NOT_FOUND", "There is no participant with this identity.", { details: { identity: destination } });
  }
}

function tooMuch(code: "DATA_TOO_LARGE" | "INVALID_ARGUMENT", message: string, limit: number): NexusError {
  return new NexusError(code, message, { details: { limit: String(limit) } });
}
