/** Tracks, streams and devices without a camera. */
import type { DeviceAccess } from "../edge/platform.js";

/** In pixels. */
export interface FakeSize {
  readonly width: number;
  readonly height: number;
}

const DEFAULT_SIZE: FakeSize = { width: 1280, height: 720 };

export class FakeMediaStreamTrack extends EventTarget {
  readonly kind: "audio" | "video";
  readonly id: string;
  readonly deviceId: string;
  enabled = true;
  /** The system or the browser has interrupted the media. */
  muted = false;
  contentHint = "";
  readyState: MediaStreamTrackState = "live";
  /** Size of video in the settings. */
  size: FakeSize;

  constructor(kind: "audio" | "video", id: string, deviceId = "default", size: FakeSize = DEFAULT_SIZE) {
    super();
    this.kind = kind;
    this.id = id;
    this.deviceId = deviceId;
    this.size = size;
  }

  getSettings(): MediaTrackSettings {
    return this.kind === "video" ? { ...this.size, deviceId: this.deviceId } : { deviceId: this.deviceId };
  }

  stop(): void {
    this.readyState = "ended";
  }

  /** The device is removed, or the user ends the sharing. */
  endFromOutside(): void {
    if (this.readyState === "ended") return;
    this.readyState = "ended";
    this.dispatchEvent(new Event("ended"));
  }

  /** The system or the browser interrupts or resumes the media. */
  muteFromOutside(muted = true): void {
    if (this.readyState === "ended" || this.muted === muted) return;
    this.muted = muted;
    this.dispatchEvent(new Event(muted ? "mute" : "unmute"));
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

type Wanted = readonly (readonly ["audio" | "video", boolean | MediaTrackConstraints])[];

/** A pending request for devices, which the test answers. */
export class FakeDeviceRequest {
  /** The first requested device; "default" for any device. */
  readonly deviceId: string;
  /** Opens the devices. */
  readonly open: () => FakeMediaStreamTrack[];
  /** Rejects with the `DOMException` of this name. */
  readonly fail: (name: string) => void;

  /** @internal */
  constructor(deviceId: string, open: () => FakeMediaStreamTrack[], fail: (name: string) => void) {
    this.deviceId = deviceId;
    this.open = open;
    this.fail = fail;
  }
}

/** Devices that open at once, reject with the `DOMException` of a given name, or open when the test says so. */
export class FakeDevices extends EventTarget implements DeviceAccess {
  refusal: string | null = null;
  /** Names of exceptions, by device. */
  readonly refusals = new Map<string, string>();
  /** Sizes of video by device, if not 1280 × 720. */
  readonly sizes = new Map<string, FakeSize>();
  list: MediaDeviceInfo[] = [];
  /** Every track that was opened. */
  readonly opened: FakeMediaStreamTrack[] = [];
  /** Whether requests wait in `pending` until the test answers them. */
  slow = false;
  readonly pending: FakeDeviceRequest[] = [];

  /** The tracks that are capturing. */
  get live(): readonly FakeMediaStreamTrack[] {
    return this.opened.filter(({ readyState }) => readyState === "live");
  }

  getUserMedia(constraints: MediaStreamConstraints = {}): Promise<MediaStream> {
    return this.#request([
      ...(constraints.audio === undefined ? [] : [["audio", constraints.audio] as const]),
      ...(constraints.video === undefined ? [] : [["video", constraints.video] as const]),
    ]);
  }

  getDisplayMedia(options: DisplayMediaStreamOptions = {}): Promise<MediaStream> {
    return this.#request(options.audio === true ? [["video", true], ["audio", true]] : [["video", true]]);
  }

  enumerateDevices(): Promise<MediaDeviceInfo[]> {
    return Promise.resolve(this.list);
  }

  #request(wanted: Wanted): Promise<MediaStream> {
    const deviceId = wanted[0] === undefined ? "default" : exactDevice(wanted[0][1]);
    if (!this.slow) {
      const refusal = this.refusal ?? this.refusals.get(deviceId);
      if (refusal !== undefined) return Promise.reject(new DOMException("refused", refusal));
      return Promise.resolve(new FakeMediaStream(this.#open(wanted).map((track) => track.asTrack())).asStream());
    }
    return new Promise((resolve, reject) => {
      const answered = (): void => void this.pending.splice(this.pending.indexOf(request), 1);
      const open = (): FakeMediaStreamTrack[] => {
        answered();
        const tracks = this.#open(wanted);
        resolve(new FakeMediaStream(tracks.map((track) => track.asTrack())).asStream());
        return tracks;
      };
      const fail = (name: string): void => {
        answered();
        reject(new DOMException("refused", name));
      };
      const request = new FakeDeviceRequest(deviceId, open, fail);
      this.pending.push(request);
    });
  }

  #open(wanted: Wanted): FakeMediaStreamTrack[] {
    return wanted.map(([kind, constraints]) => {
      const deviceId = exactDevice(constraints);
      const track = new FakeMediaStreamTrack(kind, `track-${this.opened.length + 1}`, deviceId, this.sizes.get(deviceId));
      this.opened.push(track);
      return track;
    });
  }
}

function exactDevice(constraints: boolean | MediaTrackConstraints): string {
  const wanted = typeof constraints === "boolean" ? undefined : constraints.deviceId;
  const exact = typeof wanted === "object" && "exact" in wanted ? wanted.exact : undefined;
  return typeof exact === "string" ? exact : "default";
}
