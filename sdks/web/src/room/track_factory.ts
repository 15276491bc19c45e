/** Opens devices and creates local tracks from them. */
import { chooseCodec } from "../core/codec_choice.js";
import type { TrackKind, TrackSource, VideoCodec } from "../core/model.js";
import {
  CAMERA_PRESETS,
  maxBitrateFor,
  MICROPHONE_MAX_BITRATE_BPS,
  SCREEN_AUDIO_MAX_BITRATE_BPS,
  SCREEN_PRESET,
  type VideoPreset,
} from "../core/presets.js";
import {
  captureCamera,
  captureMicrophone,
  captureScreen,
  type CameraOptions,
  type MicrophoneOptions,
  type ScreenOptions,
} from "../edge/capture.js";
import type { Platform } from "../edge/platform.js";
import { LocalTrack } from "./local_track.js";

export interface CameraTrackOptions extends CameraOptions {
  /** Default: H.264 where hardware encodes it and not VP8, else VP8. */
  readonly codec?: VideoCodec;
  /** Default: depends on resolution and codec. */
  readonly maxBitrateBps?: number;
  /**
   * Sends several layers (simulcast with VP8 and H.264, SVC with VP9 and AV1), so that each subscriber receives one that
   * fits. Small videos have fewer. Default: true.
   */
  readonly layered?: boolean;
  readonly name?: string;
}

/** How audio is sent. */
export interface SoundOptions {
  /**
   * Redundant audio (RFC 2198): each packet repeats the previous one, so that single losses are inaudible. It doubles the bit
   * rate. Default: true, where browser and server support it.
   */
  readonly red?: boolean;
  /** Discontinuous transmission: almost nothing is sent during silence. Not for music. Default: false. */
  readonly dtx?: boolean;
}

export interface MicrophoneTrackOptions extends MicrophoneOptions, SoundOptions {
  readonly maxBitrateBps?: number;
  readonly name?: string;
}

export interface ScreenTrackOptions extends ScreenOptions {
  readonly codec?: VideoCodec;
  readonly maxBitrateBps?: number;
  /** Temporal layers, where the codec has them. Default: true. */
  readonly layered?: boolean;
  readonly name?: string;
}

/** Options of a track that the page makes, for example of a canvas or a file. */
export interface CustomTrackOptions extends SoundOptions {
  readonly source?: TrackSource;
  readonly codec?: VideoCodec;
  readonly maxBitrateBps?: number;
  /** As for a camera. */
  readonly layered?: boolean;
  readonly name?: string;
}

/** A shared screen. */
export interface ScreenTracks {
  readonly video: LocalTrack;
  /** Null if there is no audio, or the user did not share it. */
  readonly audio: LocalTrack | null;
}

/** @internal */
export class TrackFactory {
  readonly #platform: Platform;

  constructor(platform: Platform) {
    this.#platform = platform;
  }

  async camera(options: CameraTrackOptions): Promise<LocalTrack> {
    const preset = CAMERA_PRESETS[options.resolution ?? "720p"];
    const [mediaStreamTrack, codec] = await Promise.all([
      captureCamera(this.#platform, options),
      this.#codec(options.codec, preset),
    ]);
    return new LocalTrack({
      platform: this.#platform,
      kind: "video",
      source: "camera",
      name: options.name ?? "",
      mediaStreamTrack,
      codec,
      maxBitrateBps: options.maxBitrateBps ?? maxBitrateFor(preset, codec),
      layered: options.layered ?? true,
      audio: null,
      reopen: (deviceId) => captureCamera(this.#platform, deviceId === undefined ? options : { ...options, deviceId }),
    });
  }

  async microphone(options: MicrophoneTrackOptions): Promise<LocalTrack> {
    const open = (deviceId: string | undefined): Promise<MediaStreamTrack> =>
      captureMicrophone(this.#platform, deviceId === undefined ? options : { ...options, deviceId });
    return this.#audio("microphone", await open(undefined), options, MICROPHONE_MAX_BITRATE_BPS, open);
  }

  async screen(options: ScreenTrackOptions): Promise<ScreenTracks> {
    const { video, audio } = await captureScreen(this.#platform, options);
    const screen = this.#video("screen", video, options, await this.#codec(options.codec, SCREEN_PRESET), SCREEN_PRESET);
    if (audio === null) return { video: screen, audio: null };
    const { name = "" } = options;
    return { video: screen, audio: this.#audio("screen-audio", audio, { name }, SCREEN_AUDIO_MAX_BITRATE_BPS, null) };
  }

  custom(track: MediaStreamTrack, options: CustomTrackOptions): LocalTrack {
    const kind: TrackKind = track.kind === "video" ? "video" : "audio";
    if (kind === "audio") {
      return this.#audio(options.source ?? "microphone", track, options, MICROPHONE_MAX_BITRATE_BPS, null);
    }
    const codec = chooseCodec(options.codec, this.#platform.sendableCodecs("video"));
    return this.#video(options.source ?? "camera", track, options, codec, CAMERA_PRESETS["720p"]);
  }

  #video(
    source: TrackSource,
    mediaStreamTrack: MediaStreamTrack,
    options: CustomTrackOptions,
    codec: VideoCodec,
    preset: VideoPreset,
  ): LocalTrack {
    return new LocalTrack({
      platform: this.#platform,
      kind: "video",
      source,
      name: options.name ?? "",
      mediaStreamTrack,
      codec,
      maxBitrateBps: options.maxBitrateBps ?? maxBitrateFor(preset, codec),
      layered: options.layered ?? true,
      audio: null,
      reopen: null,
    });
  }

  #audio(
    source: TrackSource,
    mediaStreamTrack: MediaStreamTrack,
    options: { readonly name?: string; readonly maxBitrateBps?: number } & SoundOptions,
    maxBitrateBps: number,
    reopen: ((deviceId: string | undefined) => Promise<MediaStreamTrack>) | null,
  ): LocalTrack {
    return new LocalTrack({
      platform: this.#platform,
      kind: "audio",
      source,
      name: options.name ?? "",
      mediaStreamTrack,
      codec: null,
      maxBitrateBps: options.maxBitrateBps ?? maxBitrateBps,
      layered: false,
      audio: { red: options.red ?? true, dtx: options.dtx ?? false },
      reopen,
    });
  }

  async #codec(preferred: VideoCodec | undefined, preset: VideoPreset): Promise<VideoCodec> {
    const sendable = this.#platform.sendableCodecs("video");
    if (preferred !== undefined) return chooseCodec(preferred, sendable);
    const { width, height, framesPerSecond } = preset;
    const inHardware = (mimeType: string): Promise<boolean> =>
      this.#platform.encodesInHardware(mimeType, width, height, framesPerSecond);
    const [h264, vp8] = await Promise.all([inHardware("video/H264"), inHardware("video/VP8")]);
    return chooseCodec(h264 && !vp8 ? "h264" : undefined, sendable);
  }
}
