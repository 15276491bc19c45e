/** The common part of all participants: the server's description, and whether they speak. */
import { Emitter, type EventMap, type Standing } from "../core/emitter.js";
import type { ConnectionQuality, ParticipantDescription, ParticipantId } from "../core/model.js";

/** A participant of a room: local or remote. */
export abstract class Participant<Events extends EventMap> extends Emitter<Events> {
  /** @internal */
  protected described: ParticipantDescription;
  /** @internal */
  protected isSpeaking = false;

  /** @internal */
  protected constructor(description: ParticipantDescription, standing: Standing<Events>) {
    super(standing);
    this.described = description;
  }

  get id(): ParticipantId {
    return this.described.id;
  }

  /** The claim `sub` of the token. */
  get identity(): string {
    return this.described.identity;
  }

  /** The name to show; the identity if there is none. */
  get name(): string {
    return this.described.name === "" ? this.described.identity : this.described.name;
  }

  get metadata(): string {
    return this.described.metadata;
  }

  get attributes(): Readonly<Record<string, string>> {
    return this.described.attributes;
  }

  get joinedAtMs(): number {
    return this.described.joinedAtMs;
  }

  /** The quality of the connection to the server, as the server rates it. */
  get connectionQuality(): ConnectionQuality {
    return this.described.connectionQuality;
  }

  /** Whether the participant is an active speaker; known from the join on. */
  get speaking(): boolean {
    return this.isSpeaking;
  }
}
