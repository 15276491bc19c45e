/** Tracks, streams and devices without a camera. */
import type { DeviceAccess } from "../edge/platform.js";

export class FakeMediaStreamTrack extends EventTarget {
  readonly kind: "audio" | "video";
  readonly id: string;
  readonly deviceId: string;
  enabled = true;
  contentHint = "";
  readyState: MediaStreamTrackState = "live";

  constructor(kind: "audio" | "video", id: string, deviceId = "default") {
    super();
    this.kind = kind;
    this.id = id;
    this.deviceId = deviceId;
  }

  getSettings(): MediaTrackSettings {
    return this.kind === "video" ? { width: 1280, height: 720, deviceId: this.deviceId } : { deviceId: this.deviceId };
  }

  stop(): void {
    this.readyState = "ended";
  }

  /** The device goes away, or the person ends the sharing. */
  endFromOutside(): void {
    this.readyState = "ended";
    this.dispatchEvent(new Event("ended"));
  }

  asTrack(): MediaStreamTrack {
    return this as unknown as MediaStreamTrack;
  }
}

export class FakeMediaStream {
  readonly tracks: readonly MediaStreamTrack[];

  constructor(tracks: readonly MediaStreamTrack[]) {
    this.tracks = tracks;
  }

  getTracks(): MediaStreamTrack[] {
    return [...this.tracks];
  }

  getAudioTracks(): MediaStreamTrack[] {
    return this.tracks.filter((track) => track.kind === "audio");
  }

  getVideoTracks(): MediaStreamTrack[] {
    return this.tracks.filter((track) => track.kind === "video");
  }

  asStream(): MediaStream {
    return this as unknown as MediaStream;
  }
}

/** Devices that are there, or that refuse with the `DOMException` of a given name. */
export class FakeDevices extends EventTarget implements DeviceAccess {
  refusal: string | null = null;
  list: MediaDeviceInfo[] = [];
  readonly opened: FakeMediaStreamTrack[] = [];

  getUserMedia(constraints: MediaStreamConstraints = {}): Promise<MediaStream> {
    return this.#open([
      ...(constraints.audio === undefined ? [] : [["audio", constraints.audio] as const]),
      ...(constraints.video === undefined ? [] : [["video", constraints.video] as const]),
    ]);
  }

  getDisplayMedia(options: DisplayMediaStreamOptions = {}): Promise<MediaStream> {
    return this.#open(options.audio === true ? [["video", true], ["audio", true]] : [["video", true]]);
  }

  enumerateDevices(): Promise<MediaDeviceInfo[]> {
    return Promise.resolve(this.list);
  }

  #open(wanted: readonly (readonly ["audio" | "video", boolean | MediaTrackConstraints])[]): Promise<MediaStream> {
    if (this.refusal !== null) return Promise.reject(new DOMException("refused", this.refusal));
    const tracks = wanted.map(([kind, constraints]) => {
      const track = new FakeMediaStreamTrack(kind, `track-${this.opened.length + 1}`, exactDevice(constraints));
      this.opened.push(track);
      return track.asTrack();
    });
    return Promise.resolve(new FakeMediaStream(tracks).asStream());
  }
}

function exactDevice(constraints: boolean | MediaTrackConstraints): string {
  const wanted = typeof constraints === "boolean" ? undefined : constraints.deviceId;
  const exact = typeof wanted === "object" && "exact" in wanted ? wanted.exact : undefined;
  return typeof exact === "string" ? exact : "default";
}
