/** The part that all participants have in common: what the server describes, and whether they speak. */
import { Emitter, type EventMap, type Standing } from "../core/emitter.js";
import type { ConnectionQuality, ParticipantDescription, ParticipantId } from "../core/model.js";

/** What is known of anybody in a room. */
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

  /** The `sub` of the token. */
  get identity(): string {
    return this.described.identity;
  }

  /** What to show; the identity when no name was given. */
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

  /** How their connection to the server does, as the server measures it; one's own included. */
  get connectionQuality(): ConnectionQuality {
    return this.described.connectionQuality;
  }

  /** As the room was told last; known from the moment of joining. */
  get speaking(): boolean {
    return this.isSpeaking;
  }
}
