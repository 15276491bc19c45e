/** Sizes, frame rates and bit rates of cameras, screens and audio. */
import type { VideoCodec } from "./model.js";

export type Resolution = "180p" | "360p" | "540p" | "720p" | "1080p";

export interface VideoPreset {
  readonly width: number;
  readonly height: number;
  readonly framesPerSecond: number;
  readonly maxBitrateBps: number;
}

/**
 * Bit rates for VP8 and H.264 of a talking head: about 0.06 bits per pixel at 30 frames per second, more for small frames
 * (where headers and motion cost more), less for large ones.
 */
export const CAMERA_PRESETS: Readonly<Record<Resolution, VideoPreset>> = {
  "180p": { width: 320, height: 180, framesPerSecond: 20, maxBitrateBps: 180_000 },
  "360p": { width: 640, height: 360, framesPerSecond: 30, maxBitrateBps: 600_000 },
  "540p": { width: 960, height: 540, framesPerSecond: 30, maxBitrateBps: 1_000_000 },
  "720p": { width: 1280, height: 720, framesPerSecond: 30, maxBitrateBps: 1_700_000 },
  "1080p": { width: 1920, height: 1080, framesPerSecond: 30, maxBitrateBps: 3_000_000 },
};

/** Text must stay sharp; motion may be less smooth. */
export const SCREEN_PRESET: VideoPreset = { width: 1920, height: 1080, framesPerSecond: 15, maxBitrateBps: 2_500_000 };

/** Opus for speech, with room for music. */
export const MICROPHONE_MAX_BITRATE_BPS = 48_000;
/** Opus for films and music in a shared screen. */
export const SCREEN_AUDIO_MAX_BITRATE_BPS = 128_000;

/** Bit rate relative to VP8 for the same quality. */
const CODEC_FACTOR: Readonly<Record<VideoCodec, number>> = { vp8: 1, h264: 1, vp9: 0.7, av1: 0.65 };

export const maxBitrateFor = (preset: VideoPreset, codec: VideoCodec): number =>
  Math.round(preset.maxBitrateBps * CODEC_FACTOR[codec]);
