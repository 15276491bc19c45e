/** The call: a grid of participants, the buttons, and the reactions to events of the room. */
import {
  NexusError,
  type DisconnectReason,
  type LocalTrack,
  type RemoteParticipant,
  type RemoteTrack,
  type Room,
} from "@nexus-rtc/web";
import { ActivityBadges } from "./activity_badges.js";
import { ChatPanel } from "./chat_panel.js";
import { DeviceDialog } from "./device_dialog.js";
import { h } from "./element.js";
import { bestGrid } from "./layout.js";
import { RecordSwitch } from "./record_switch.js";
import { inviteLink, type Settings } from "./settings.js";
import { StatsPanel } from "./stats_panel.js";
import { Tile } from "./tile.js";
import { Toolbar } from "./toolbar.js";
import { errorText, pauseText } from "./texts.js";

const STATS_INTERVAL_MS = 1_000;
const NOTE_MS = 6_000;
const GAP_PX = 10;
const CONNECTION_TEXTS = { connecting: "Connecting …", connected: "", interrupted: "Connection interrupted …", closed: "" } as const;

export class Call {
  readonly root: HTMLElement;
  readonly #room: Room;
  readonly #settings: Settings;
  readonly #tiles = new Map<string, Tile>();
  /** The track of each tile of another participant. */
  readonly #trackOf = new Map<string, () => RemoteTrack | undefined>();
  readonly #grid = h("div", { class: "grid" });
  readonly #note = h("div", { class: "note", role: "status", "aria-live": "polite" });
  readonly #state = h("span", { class: "state", role: "status" });
  readonly #count = h("span", { class: "count" });
  readonly #activity = new ActivityBadges();
  readonly #recording: RecordSwitch;
  readonly #unblock: HTMLButtonElement;
  readonly #toolbar: Toolbar;
  readonly #stats: StatsPanel;
  readonly #chat: ChatPanel;
  readonly #devices: DeviceDialog;
  readonly #observer = new ResizeObserver(() => this.#arrange());
  readonly #timer: ReturnType<typeof setInterval>;
  #noteTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(room: Room, settings: Settings, onEnd: (reason: DisconnectReason) => void) {
    this.#room = room;
    this.#settings = settings;
    this.#stats = new StatsPanel(() => this.#toggleStats());
    this.#chat = new ChatPanel(room, () => this.#toggleChat(), (count) => this.#showUnread(count), (error) => this.#fail(error));
    this.#devices = new DeviceDialog(room, (error) => this.#fail(error));
    this.#unblock = h("button", { type: "button", class: "unblock primary", hidden: true, click: () => void this.#startAudio() }, "Click to hear the others");
    this.#toolbar = this.#buildToolbar();
    this.#recording = new RecordSwitch(room, this.#toolbar, (text) => this.#showNote(text));
    this.root = this.#build();
    this.#listen(onEnd);
    void this.#recording.follow();
    this.#addTile(this.#ownKey, room.localParticipant.name, true, false).setQuality(room.localParticipant.connectionQuality);
    for (const track of room.localParticipant.tracks) this.#showOwn(track);
    this.#refreshButtons();
    this.#observer.observe(this.#grid);
    document.addEventListener("keydown", this.#toolbar.onKey);
    this.#timer = setInterval(() => void this.#measure(), STATS_INTERVAL_MS);
  }

  close(): void {
    clearInterval(this.#timer);
    clearTimeout(this.#noteTimer);
    document.removeEventListener("keydown", this.#toolbar.onKey);
    this.#observer.disconnect();
    this.#devices.close();
    for (const tile of this.#tiles.values()) tile.remove();
    this.root.remove();
  }

  get #ownKey(): string {
    return this.#room.localParticipant.id;
  }

  #build(): HTMLElement {
    const { name } = this.#room;
    const header = h("header", { class: "bar" }, h("h1", {}, name), this.#count, this.#activity.root, this.#state);
    return h("main", { class: "call" }, header, this.#grid, this.#chat.root, this.#stats.root, this.#unblock, this.#note, this.#toolbar.root, this.#devices.root);
  }

  #buildToolbar(): Toolbar {
    const canShare = "getDisplayMedia" in ((navigator as { mediaDevices?: MediaDevices }).mediaDevices ?? {});
    return new Toolbar([
      { id: "microphone", key: "m", label: "Mute", icon: "mic", run: () => void this.#guard("microphone", () => this.#toggleMicrophone()) },
      { id: "camera", key: "v", label: "Camera off", icon: "camera", run: () => void this.#guard("camera", () => this.#toggleCamera()) },
      { id: "screen", key: "s", label: "Share screen", icon: "screen", available: canShare, run: () => void this.#guard("screen", () => this.#toggleScreen()) },
      { id: "record", key: "r", label: "Record", icon: "record", available: this.#room.grants.record, run: () => void this.#guard("record", () => this.#recording.toggle()) },
      { id: "chat", key: "t", label: "Chat", icon: "chat", run: () => this.#toggleChat() },
      { id: "devices", key: "d", label: "Devices", icon: "devices", run: () => void this.#devices.show() },
      { id: "stats", key: "i", label: "Statistics", icon: "stats", run: () => this.#toggleStats() },
      { id: "invite", key: "c", label: "Copy invite", icon: "link", run: () => void this.#copyInvite() },
      { id: "leave", key: "q", label: "Leave", icon: "leave", danger: true, run: () => void this.#room.leave() },
    ]);
  }

  #listen(onEnd: (reason: DisconnectReason) => void): void {
    const room = this.#room;
    room.on("participant-joined", (participant) => this.#addParticipant(participant));
    room.on("participant-left", (participant) => this.#removeParticipant(participant));
    room.on("connection-state", (state) => (this.#state.textContent = CONNECTION_TEXTS[state]));
    this.#state.textContent = CONNECTION_TEXTS[room.connectionState];
    room.on("error", (error) => this.#fail(error));
    room.on("autoplay-blocked", () => (this.#unblock.hidden = false));
    room.on("disconnected", (reason) => onEnd(reason));
    room.on("recording-changed", (recording) => {
      this.#activity.setRecording(recording);
      void this.#recording.follow();
    });
    room.on("transcribing-changed", (transcribing) => this.#activity.setTranscribing(transcribing));
    room.on("connection-quality", ({ id }, quality) => this.#tiles.get(id)?.setQuality(quality));
    room.localParticipant.on("speaking", (speaking) => this.#tiles.get(this.#ownKey)?.setSpeaking(speaking));
    room.localParticipant.on("track-published", (track) => this.#followOwn(track));
    room.localParticipant.on("track-unpublished", (track) => this.#hideOwn(track));
  }

  // Other participants

  #addParticipant(participant: RemoteParticipant): void {
    const tile = this.#addTile(participant.id, participant.name, false, false, () => participant.track("camera"));
    tile.setQuality(participant.connectionQuality);
    if (participant.joinedAtMs > this.#room.localParticipant.joinedAtMs) this.#showNote(`${participant.name} has joined`);
    participant.on("updated", () => tile.setName(participant.name));
    participant.on("speaking", (speaking) => tile.setSpeaking(speaking));
    participant.on("track-published", (track) => {
      this.#showTrack(participant, track);
      const key = track.source === "screen" ? track.id : participant.id;
      if (track.kind === "video") track.on("paused", () => this.#tiles.get(key)?.setPaused(pauseText(track)));
    });
    participant.on("track-unpublished", (track) => this.#hideTrack(participant, track));
    participant.on("track-muted", (track) => this.#showTrack(participant, track));
    this.#refreshMicrophone(participant);
  }

  #removeParticipant(participant: RemoteParticipant): void {
    this.#removeTile(participant.id);
    this.#showNote(`${participant.name} has left`);
  }

  #showTrack(participant: RemoteParticipant, track: RemoteTrack): void {
    if (track.kind === "audio") {
      this.#refreshMicrophone(participant);
      return;
    }
    const screen = track.source === "screen";
    const tile = screen ? this.#addTile(track.id, participant.name, false, true, () => track) : this.#tiles.get(participant.id);
    if (tile === undefined) return;
    tile.setVideo(track.muted ? null : track);
    tile.setPaused(pauseText(track));
    track.pin(tile.pinned);
    this.#offerLayers(tile);
  }

  #hideTrack(participant: RemoteParticipant, track: RemoteTrack): void {
    if (track.source === "screen") this.#removeTile(track.id);
    else if (track.source === "camera") {
      this.#tiles.get(participant.id)?.setVideo(null);
      this.#tiles.get(participant.id)?.setPaused("");
    } else this.#refreshMicrophone(participant);
  }

  #refreshMicrophone(participant: RemoteParticipant): void {
    const track = participant.track("microphone");
    this.#tiles.get(participant.id)?.setMicrophone(track !== undefined && !track.muted ? "on" : "off");
  }

  // The local participant

  #showOwn(track: LocalTrack): void {
    if (track.source === "screen") this.#addTile("own-screen", this.#room.localParticipant.name, true, true).setVideo(track);
    if (track.source === "camera") this.#tiles.get(this.#ownKey)?.setVideo(track.muted ? null : track);
  }

  /** Follows a track that a failed device mutes. */
  #followOwn(track: LocalTrack): void {
    track.on("device-failed", (error) => this.#fail(error));
    track.on("muted", () => {
      this.#showOwn(track);
      this.#refreshButtons();
    });
  }

  #hideOwn(track: LocalTrack): void {
    if (track.source === "screen") this.#removeTile("own-screen");
    if (track.source === "camera") this.#tiles.get(this.#ownKey)?.setVideo(null);
    this.#refreshButtons();
  }

  async #toggleMicrophone(): Promise<void> {
    const track = this.#room.localParticipant.track("microphone");
    if (track === undefined) await this.#room.publish(await this.#room.createMicrophoneAudioTrack());
    else await track.setMuted(!track.muted);
  }

  async #toggleCamera(): Promise<void> {
    const { codec, resolution } = this.#settings;
    const track = this.#room.localParticipant.track("camera");
    if (track === undefined) {
      const camera = await this.#room.createCameraVideoTrack(codec === undefined ? { resolution } : { resolution, codec });
      await this.#room.publish(camera);
      this.#showOwn(camera);
    } else {
      await track.setMuted(!track.muted, { releaseDevice: true });
      this.#showOwn(track);
    }
  }

  async #toggleScreen(): Promise<void> {
    const { localParticipant } = this.#room;
    const shared = [localParticipant.track("screen"), localParticipant.track("screen-audio")];
    const tracks = shared.filter((track) => track !== undefined);
    if (tracks.length > 0) {
      await Promise.all(tracks.map((track) => this.#room.unpublish(track)));
      return;
    }
    const { video, audio } = await this.#room.createScreenTracks();
    await Promise.all([this.#room.publish(video), audio === null ? undefined : this.#room.publish(audio)]);
    this.#showOwn(video);
  }

  #refreshButtons(): void {
    const { localParticipant } = this.#room;
    const live = (track: LocalTrack | undefined): boolean => track !== undefined && !track.muted;
    const [mic, camera] = [live(localParticipant.track("microphone")), live(localParticipant.track("camera"))];
    const sharing = localParticipant.track("screen") !== undefined;
    this.#toolbar.set("microphone", { label: mic ? "Mute" : "Unmute", icon: mic ? "mic" : "mic-off", pressed: !mic });
    this.#toolbar.set("camera", { label: camera ? "Camera off" : "Camera on", icon: camera ? "camera" : "camera-off", pressed: !camera });
    this.#toolbar.set("screen", { label: sharing ? "Stop sharing" : "Share screen", icon: "screen", pressed: sharing });
    this.#toolbar.set("stats", { label: "Statistics", icon: "stats", pressed: this.#stats.open });
    this.#tiles.get(this.#ownKey)?.setMicrophone(mic ? "on" : "off");
  }

  /** Runs one action of a button at a time and shows its error. */
  async #guard(id: string, run: () => Promise<void>): Promise<void> {
    this.#toolbar.setBusy(id, true);
    try {
      await run();
    } catch (error) {
      // It is no error if the user closes the dialog for choosing a screen.
      if (!(id === "screen" && error instanceof NexusError && error.code === "DEVICE_DENIED")) this.#fail(error);
    } finally {
      this.#toolbar.setBusy(id, false);
      this.#refreshButtons();
    }
  }

  // Audio, chat, statistics and notes

  async #startAudio(): Promise<void> {
    try {
      await this.#room.startAudio();
    } catch (error) {
      this.#fail(error);
    }
    this.#unblock.hidden = !this.#room.audioBlocked;
  }

  #toggleChat(): void {
    this.#chat.toggle();
    this.root.classList.toggle("with-chat", this.#chat.open);
    this.#showUnread(0);
  }

  #showUnread(count: number): void {
    this.#toolbar.set("chat", { label: count === 0 ? "Chat" : `Chat (${count})`, icon: "chat", pressed: this.#chat.open });
  }

  #toggleStats(): void {
    this.#stats.toggle();
    this.#refreshButtons();
    for (const tile of this.#tiles.values()) this.#offerLayers(tile);
    void this.#measure();
  }

  async #measure(): Promise<void> {
    if (this.#room.connectionState === "closed") return;
    if (!this.#stats.open) return;
    const stats = await this.#room.getStats();
    this.#stats.show(stats, ({ participantId }) => {
      if (participantId === this.#ownKey) return "You";
      return this.#room.participants.get(participantId)?.name ?? "";
    });
  }

  async #copyInvite(): Promise<void> {
    const link = inviteLink(this.#room.name);
    try {
      await navigator.clipboard.writeText(link);
      this.#showNote("The invite link is in the clipboard");
    } catch {
      this.#showNote(`Invite with this link: ${link}`);
    }
  }

  #fail(error: unknown): void {
    this.#showNote(errorText(error));
  }

  #showNote(text: string): void {
    this.#note.textContent = text;
    this.#note.classList.add("shown");
    clearTimeout(this.#noteTimer);
    this.#noteTimer = setTimeout(() => this.#note.classList.remove("shown"), NOTE_MS);
  }

  // The grid

  #addTile(key: string, name: string, own: boolean, screen: boolean, track?: () => RemoteTrack | undefined): Tile {
    const known = this.#tiles.get(key);
    if (known !== undefined) return known;
    const onPin = track === undefined ? null : (pinned: boolean): void => this.#pin(key, pinned);
    const tile = new Tile({ key, name, own, screen, onPin });
    if (track !== undefined) this.#trackOf.set(key, track);
    this.#tiles.set(key, tile);
    this.#grid.append(tile.root);
    this.#arrange();
    return tile;
  }

  #removeTile(key: string): void {
    this.#tiles.get(key)?.remove();
    this.#tiles.delete(key);
    this.#trackOf.delete(key);
    this.#arrange();
  }

  /** Puts one tile at a time on the stage. */
  #pin(key: string, pinned: boolean): void {
    for (const [other, tile] of this.#tiles) {
      const now = pinned && other === key;
      if (now === tile.pinned) continue;
      tile.setPinned(now);
      this.#trackOf.get(other)?.()?.pin(now);
    }
    this.#arrange();
  }

  /** Offers a choice of layers on each tile while the statistics are open. */
  #offerLayers(tile: Tile): void {
    const track = this.#trackOf.get(tile.key)?.();
    const labels = this.#stats.open ? (track?.layers.map(({ height }) => `${height}p`) ?? []) : [];
    tile.offerLayers(labels, (spatial) => track?.setVideoLayers(spatial === null ? null : { spatial }));
  }

  #arrange(): void {
    const count = this.#room.participants.size + 1;
    this.#count.textContent = count === 1 ? "only you" : `${count} people`;
    const tiles = [...this.#tiles.values()];
    const staged = tiles.find((tile) => tile.pinned) ?? tiles.find((tile) => tile.isScreen);
    for (const tile of tiles) tile.setStaged(tile === staged);
    this.#grid.classList.toggle("with-stage", staged !== undefined);
    const { clientWidth, clientHeight } = this.#grid;
    this.#grid.style.setProperty("--stage-height", `${clientHeight}px`);
    if (staged !== undefined) return;
    const { tileWidth } = bestGrid(tiles.length, clientWidth, clientHeight, GAP_PX);
    this.#grid.style.setProperty("--tile-width", `${tileWidth}px`);
  }
}
