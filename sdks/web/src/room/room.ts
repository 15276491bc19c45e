/**
 * A room that has been joined: its participants, their tracks, and the local publications. The rules are in `core/`.
 */
import { Emitter } from "../core/emitter.js";
import { NexusError } from "../core/error.js";
import { pathRttMs, summariseStats, uplinkEstimateBps, type StatsReport } from "../core/media_stats.js";
import type {
  ConnectionQuality,
  DisconnectReason,
  Grants,
  ParticipantDescription,
  ParticipantId,
  PauseReason,
  TrackDescription,
  TrackId,
} from "../core/model.js";
import { connectionState, type ConnectionState, type Notice } from "../core/session_state.js";
import { listDevices } from "../edge/capture.js";
import type { Peer } from "../edge/peer.js";
import { Playback } from "../edge/playback.js";
import type { Platform } from "../edge/platform.js";
import type { SessionRunner } from "../edge/session_runner.js";
import type { Recordings } from "../recordings.js";
import type { LocalTrack } from "./local_track.js";
import { LocalParticipant } from "./local_participant.js";
import type { Publications } from "./publications.js";
import { RemoteParticipant, RemoteTrack } from "./remote_participant.js";
import { RoomData, type PublishDataOptions } from "./room_data.js";
import type { ActiveSpeaker, RoomEvents } from "./room_events.js";
import { roomStats, type RoomStats, type TrackStats } from "./stats.js";
import type { Telemetry } from "./telemetry.js";
import { telemetrySource } from "./telemetry_source.js";
import type {
  CameraTrackOptions,
  CustomTrackOptions,
  MicrophoneTrackOptions,
  ScreenTrackOptions,
  ScreenTracks,
  TrackFactory,
} from "./track_factory.js";

/** The parts that a room is made of. @internal */
export interface RoomParts {
  readonly platform: Platform;
  readonly peer: Peer;
  readonly runner: SessionRunner;
  readonly factory: TrackFactory;
  readonly name: string;
  /** Contains the tracks of the first offer. */
  readonly publications: Publications;
  readonly recordings: Recordings;
  readonly telemetry: Telemetry;
}

/** A room that has been joined. */
export class Room extends Emitter<RoomEvents> {
  /** The room's name, as in the token. */
  readonly name: string;
  readonly localParticipant: LocalParticipant;
  /** The other participants, by id. */
  readonly participants: ReadonlyMap<ParticipantId, RemoteParticipant>;
  /** Resolves with the reason when the session has ended. */
  readonly closed: Promise<DisconnectReason>;
  readonly #parts: RoomParts;
  readonly #participants = new Map<ParticipantId, RemoteParticipant>();
  readonly #tracks = new Map<TrackId, RemoteTrack>();
  readonly #published: Publications;
  readonly #playback: Playback;
  readonly #data: RoomData;
  readonly #onDevicesChanged = (): void => void this.#emitDevices();
  #lastReport: StatsReport | null = null;
  #settleClosed: (reason: DisconnectReason) => void = () => undefined;

  /** @internal */
  constructor(parts: RoomParts) {
    super({
      "participant-joined": () => [...this.participants.values()].map((participant) => [participant]),
      "track-published": () => [...this.#tracks.values()].map((track) => [track, track.participant]),
      "autoplay-blocked": () => (this.audioBlocked ? [[]] : []),
      "active-speakers": () => (this.activeSpeakers.length > 0 ? [[this.activeSpeakers]] : []),
      "recording-changed": () => (this.recording ? [[true]] : []),
      "transcribing-changed": () => (this.transcribing ? [[true]] : []),
    });
    const { own, others } = parts.runner.state.roster;
    if (own === null) throw new NexusError("INTERNAL", "The room has not been joined.");
    this.#parts = parts;
    this.name = parts.name;
    this.localParticipant = new LocalParticipant(own);
    this.participants = this.#participants;
    this.closed = new Promise((resolve) => (this.#settleClosed = resolve));
    this.#playback = new Playback(parts.platform, parts.peer, () => {
      parts.telemetry.autoplayBlocked();
      this.emit("autoplay-blocked");
    });
    this.#data = new RoomData(parts.peer.data, this.#participants, (payload, info) => this.emit("data", payload, info));
    parts.peer.onData = (message, delivery) => this.#data.receive(message, delivery);
    this.#published = parts.publications;
    for (const participant of others.values()) this.#addParticipant(participant);
    for (const { participant } of this.activeSpeakers) participant.setSpeaking(true);
    this.#published.adoptAll(this.localParticipant, own.tracks, (error) => this.#reportError(error));
    this.#playback.setTable(parts.runner.state.slots);
    const { demands, paused } = parts.runner.state.watching;
    for (const [id, demand] of demands) this.#published.setLayerDemand(id, demand);
    for (const [id, reason] of paused) this.#tracks.get(id)?.pause(reason);
    this.#playback.start();
    parts.platform.devices()?.addEventListener("devicechange", this.#onDevicesChanged);
    parts.telemetry.start(telemetrySource(parts, this.localParticipant, this.#tracks, this.#playback));
  }

  /** The room's id (`RM_…`), valid until it is closed. */
  get id(): string {
    return this.#parts.runner.state.roomId;
  }

  /** The rights that the token grants. */
  get grants(): Grants {
    const { grants } = this.#parts.runner.state;
    if (grants === null) throw new NexusError("INTERNAL", "The room has not been joined.");
    return grants;
  }

  /** The active speakers, loudest first; known from the join on. */
  get activeSpeakers(): readonly ActiveSpeaker[] {
    return this.#parts.runner.state.roster.speaking.speakers.flatMap(({ participantId, trackId, levelDbov }) => {
      const own = participantId === this.localParticipant.id;
      const participant = own ? this.localParticipant : this.#participants.get(participantId);
      return participant === undefined ? [] : [{ participant, trackId, levelDbov }];
    });
  }

  /** Whether the room is being recorded; not while the recording is paused. Known from the join on. */
  get recording(): boolean {
    return this.#parts.runner.state.roster.activity.recording;
  }

  /** Whether the audio of the room is being transcribed. Known from the join on. */
  get transcribing(): boolean {
    return this.#parts.runner.state.roster.activity.transcribing;
  }

  /** Starts, changes and finds recordings of this room, for a token with the grant `record`. */
  get recordings(): Recordings {
    return this.#parts.recordings;
  }

  get connectionState(): ConnectionState {
    return connectionState(this.#parts.runner.state);
  }

  /** Whether the browser blocks audio; see the event `autoplay-blocked`. */
  get audioBlocked(): boolean {
    return this.#playback.blocked;
  }

  /** Opens a camera. It is sent once it is published, and closed when the room is left. */
  async createCameraVideoTrack(options: CameraTrackOptions = {}): Promise<LocalTrack> {
    return this.#own(this.#parts.factory.camera(options), (track) => [track]);
  }

  /** Opens a microphone. It is sent once it is published, and closed when the room is left. */
  async createMicrophoneAudioTrack(options: MicrophoneTrackOptions = {}): Promise<LocalTrack> {
    return this.#own(this.#parts.factory.microphone(options), (track) => [track]);
  }

  /** Lets the user choose a screen, window or tab to share: video and, where possible, audio. */
  async createScreenTracks(options: ScreenTrackOptions = {}): Promise<ScreenTracks> {
    return this.#own(this.#parts.factory.screen(options), ({ video, audio }) => (audio === null ? [video] : [video, audio]));
  }

  /** Makes a track of any `MediaStreamTrack`: of a canvas, a file or an audio graph. */
  createCustomTrack(track: MediaStreamTrack, options: CustomTrackOptions = {}): LocalTrack {
    return this.#parts.factory.custom(track, options);
  }

  /** Publishes a track. Several calls in one turn share one round trip. */
  async publish(track: LocalTrack): Promise<void> {
    await this.#parts.telemetry.publishing(() => this.#published.idOf(track), this.#published.publish(track));
  }

  /** Ends a publication and closes its device; `{ stop: false }` keeps the device open. */
  async unpublish(track: LocalTrack, options: { readonly stop?: boolean } = {}): Promise<void> {
    await this.#published.unpublish(track, options.stop !== false);
  }

  /**
   * Sends a message of at most 256 KiB to all participants, or to some; needs the grant `data`. Resolves when the browser has
   * room for more: await it, so that a slow network slows the sender.
   */
  async publishData(payload: Uint8Array | string, options: PublishDataOptions = {}): Promise<void> {
    if (this.connectionState === "closed") throw new NexusError("CLOSED", "The room has been left.");
    await this.#data.publish(this.grants, payload, options);
  }

  /** Changes the name of the local participant. */
  async setName(name: string): Promise<void> {
    await this.#update({ name });
  }

  /** Changes the metadata of the local participant. */
  async setMetadata(metadata: string): Promise<void> {
    await this.#update({ metadata });
  }

  /** Sets attributes of the local participant; an empty value removes an attribute. */
  async setAttributes(attributes: Readonly<Record<string, string>>): Promise<void> {
    await this.#update({ attributes: { ...attributes } });
  }

  /** Removes a participant from the room; needs the grant `admin`. */
  async removeParticipant(participantId: ParticipantId): Promise<void> {
    const value = { participantId };
    await this.#parts.runner.call({ case: "removeParticipant", value });
  }

  /**
   * Plays audio that the browser blocked. Call it from a click or key press: otherwise it rejects with `AUTOPLAY_BLOCKED`.
   * `audioBlocked` stays true until every audio track plays.
   */
  async startAudio(): Promise<void> {
    await this.#playback.startAudio();
  }

  /** Selects the speaker, where the browser can. */
  async setAudioOutput(deviceId: string): Promise<void> {
    await this.#playback.setOutputDevice(deviceId);
  }

  /** Stats over the interval since the last call. */
  async getStats(): Promise<RoomStats> {
    const report = (await this.#parts.peer.getStats()) as unknown as StatsReport;
    const summary = summariseStats(report, this.#lastReport);
    this.#lastReport = new Map(report);
    const tracks: TrackStats[] = [];
    for (const [track, outgoing] of this.#published.outgoing()) {
      const mid = this.#parts.peer.midOf(outgoing);
      const stats = mid === null ? undefined : summary.get(mid);
      if (stats !== undefined) tracks.push({ ...stats, track, participantId: this.localParticipant.id });
    }
    for (const track of this.#tracks.values()) {
      const mid = this.#playback.midOf(track.id);
      const stats = mid === null ? undefined : summary.get(mid);
      if (stats !== undefined) tracks.push({ ...stats, track, participantId: track.participant.id });
    }
    const signalingRttMs = this.#parts.runner.state.rttMs;
    return roomStats({ rttMs: pathRttMs(report), uplinkEstimateBps: uplinkEstimateBps(report), signalingRttMs }, tracks);
  }

  /**
   * Leaves, and closes the devices of all tracks that were published or opened by this room, except those that
   * `unpublish(track, { stop: false })` kept. A device that is still being opened is closed later, and its call rejects with
   * `CLOSED`.
   */
  async leave(): Promise<void> {
    this.#parts.runner.dispatch({ type: "leave" });
    await this.closed;
  }

  /** @internal */
  handle(notice: Notice): void {
    switch (notice.type) {
      case "participant-joined":
        this.emit("participant-joined", this.#addParticipant(notice.participant));
        for (const track of this.#tracksOf(notice.participant.id)) this.emit("track-published", track, track.participant);
        return this.#data.release(notice.participant.id);
      case "participant-left":
        return this.#removeParticipant(notice.id, notice.reason);
      case "participant-updated":
        return this.#updateParticipant(notice.participant);
      case "track-published":
        return this.#trackPublished(notice.track);
      case "track-unpublished":
        return this.#trackUnpublished(notice.track.id);
      case "track-muted":
        return this.#trackMuted(notice.track);
      case "track-updated":
        return this.#tracks.get(notice.track.id)?.redescribe(notice.track);
      case "track-paused":
        return this.#trackPaused(notice.trackId, notice.reason);
      case "track-resumed":
        return this.#trackPaused(notice.trackId, null);
      case "layer-demand":
        return this.#published.setLayerDemand(notice.trackId, notice.demand);
      case "connection-quality":
        return this.#rated(notice.id, notice.quality);
      case "active-speakers":
        return this.#speakers();
      case "recording-changed":
        return this.emit("recording-changed", notice.recording);
      case "transcribing-changed":
        return this.emit("transcribing-changed", notice.transcribing);
      case "slots":
        return this.#playback.setTable(notice.slots);
      case "connection-state":
        return this.emit("connection-state", notice.state);
      case "error":
        return this.emit("error", notice.error);
      case "closed":
        return this.#close(notice.reason, notice.error);
      case "joined":
        return;
    }
  }

  /** Registers tracks that the room opens. A device that opens after the room was left is closed at once. */
  async #own<Opened>(opening: Promise<Opened>, tracksOf: (opened: Opened) => LocalTrack[]): Promise<Opened> {
    // A device that is opened through a room that was left before belongs to the page.
    const { connectionState: before } = this;
    const opened = await this.#parts.telemetry.watch(opening);
    const tracks = tracksOf(opened);
    if (before === "closed") return opened;
    if (this.connectionState === "closed") {
      for (const track of tracks) track.stop();
      throw new NexusError("CLOSED", "The room was left while the device was being opened.");
    }
    for (const track of tracks) this.#published.created(track);
    return opened;
  }

  #addParticipant(description: ParticipantDescription): RemoteParticipant {
    const participant = new RemoteParticipant(description);
    this.#participants.set(description.id, participant);
    for (const track of description.tracks) this.#addTrack(participant, track);
    return participant;
  }

  #removeParticipant(id: ParticipantId, reason: DisconnectReason): void {
    const participant = this.#participants.get(id);
    if (participant === undefined) return;
    this.#participants.delete(id);
    participant.emit("left", reason);
    this.emit("participant-left", participant, reason);
  }

  #updateParticipant(description: ParticipantDescription): void {
    const own = description.id === this.localParticipant.id;
    const participant = own ? this.localParticipant : this.#participants.get(description.id);
    if (participant === undefined) return;
    participant.redescribe(description);
    this.emit("participant-updated", participant);
  }

  #addTrack(participant: RemoteParticipant, description: TrackDescription): RemoteTrack {
    const track = new RemoteTrack(
      {
        bind: (trackId, bound) => this.#parts.runner.dispatch({ type: bound ? "bind" : "unbind", trackId }),
        view: (trackId, view) => this.#parts.runner.dispatch({ type: "view", trackId, view }),
        observe: (element, listener) => this.#parts.platform.observeElement(element, listener),
        subscribe: (id, subscribed) => this.#subscribe(id, subscribed),
        frameShown: (id) => {
          this.#playback.readTrack(id);
          this.#parts.telemetry.frameShown(id);
        },
        volumeChanged: () => this.#playback.applyVolumes(),
      },
      participant,
      description,
    );
    this.#tracks.set(track.id, track);
    participant.addTrack(track);
    this.#playback.addSink(track);
    return track;
  }

  #trackPublished(description: TrackDescription): void {
    const participant = this.#participants.get(description.participantId);
    if (participant === undefined) return;
    const track = this.#addTrack(participant, description);
    participant.emit("track-published", track);
    this.emit("track-published", track, participant);
  }

  #trackUnpublished(id: TrackId): void {
    const track = this.#tracks.get(id);
    if (track === undefined) return;
    this.#tracks.delete(id);
    this.#playback.removeSink(track);
    track.participant.removeTrack(track);
    track.end();
    track.participant.emit("track-unpublished", track);
    this.emit("track-unpublished", track, track.participant);
  }

  #trackMuted(description: TrackDescription): void {
    const track = this.#tracks.get(description.id);
    if (track === undefined) return;
    track.redescribe(description);
    track.participant.emit("track-muted", track, description.muted);
    this.emit("track-muted", track, description.muted);
  }

  #trackPaused(id: TrackId, reason: PauseReason | null): void {
    const track = this.#tracks.get(id);
    if (track === undefined) return;
    track.pause(reason);
    if (reason === null) this.emit("track-resumed", track, track.participant);
    else this.emit("track-paused", track, track.participant, reason);
  }

  #rated(id: ParticipantId, quality: ConnectionQuality): void {
    const participant = id === this.localParticipant.id ? this.localParticipant : this.#participants.get(id);
    if (participant === undefined) return;
    participant.rate(quality);
    this.emit("connection-quality", participant, quality);
  }

  #speakers(): void {
    const active = this.activeSpeakers;
    const speaking = new Set(active.map((one) => one.participant.id));
    this.localParticipant.setSpeaking(speaking.has(this.localParticipant.id));
    for (const participant of this.#participants.values()) participant.setSpeaking(speaking.has(participant.id));
    this.emit("active-speakers", active);
  }

  async #subscribe(trackId: TrackId, subscribed: boolean): Promise<void> {
    const value = { trackIds: [trackId], subscribed };
    await this.#parts.runner.call({ case: "updateSubscriptions", value });
  }

  async #update(change: { name?: string; metadata?: string; attributes?: Record<string, string> }): Promise<void> {
    await this.#parts.runner.call({ case: "updateParticipant", value: change });
  }

  async #emitDevices(): Promise<void> {
    this.#parts.telemetry.devicesChanged();
    try {
      this.emit("devices-changed", await listDevices(this.#parts.platform));
    } catch (error) {
      this.#reportError(error);
    }
  }

  #reportError(error: unknown): void {
    this.emit("error", NexusError.from(error, "INTERNAL", "Something failed"));
  }

  #tracksOf(id: ParticipantId): readonly RemoteTrack[] {
    return [...(this.#participants.get(id)?.tracks.values() ?? [])];
  }

  #close(reason: DisconnectReason, error: NexusError | null): void {
    this.#parts.platform.devices()?.removeEventListener("devicechange", this.#onDevicesChanged);
    this.#playback.close();
    this.#published.close();
    for (const track of this.#tracks.values()) track.end();
    this.#tracks.clear();
    this.#settleClosed(reason);
    this.emit("disconnected", reason, error);
  }
}
