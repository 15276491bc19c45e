/**
 * What a video track is sent as: several encodings (simulcast, RFC 8853) for codecs without spatial layers, one scalable
 * encoding (W3C webrtc-svc) for those with them, one plain encoding where neither pays or the browser has neither.
 *
 * Plans come best first; whoever opens the sender takes the first that the browser accepts. Layers are told to the server
 * low to high, which is also the order of the encodings.
 */
import type { TrackSource, VideoCodec, PublishedLayer, WantedLayers } from "./model.js";

/** `scalabilityMode` is W3C webrtc-svc; not every version of the DOM's types has it. */
export interface SendEncoding extends RTCRtpEncodingParameters {
  scalabilityMode?: string;
}

export interface EncodingPlan {
  readonly encodings: readonly SendEncoding[];
  /** Low to high; empty for one encoding without spatial layers. */
  readonly layers: readonly PublishedLayer[];
  /** Empty for simulcast and for plain encodings. */
  readonly scalabilityMode: string;
}

/** In pixels; 0 when unknown. */
export interface PictureSize {
  readonly width: number;
  readonly height: number;
}

export interface Picture extends PictureSize {
  readonly source: TrackSource;
  readonly codec: VideoCodec;
  readonly maxBitrateBps: number;
  /** False: one encoding, whatever the codec. */
  readonly layered: boolean;
}

/** rids mean nothing by themselves (the server goes by the order); these are the names of W3C's examples. */
const RIDS = ["q", "h", "f"];
/** A layer of half the width and height needs about a third of the bits for the same look, not a quarter. */
const SHARE_OF_NEXT = 0.3;
const MIN_LAYER_BPS = 60_000;
/** Below 540p the quarter picture is too small to recognise a face; below 270p the half picture is. */
const PIXELS_FOR_THREE = 960 * 540;
const PIXELS_FOR_TWO = 480 * 270;
/** What a camera sends unless it says otherwise. */
const DEFAULT_SIZE = { width: 1280, height: 720 };

export function encodingPlans(picture: Picture): EncodingPlan[] {
  const plain: EncodingPlan = { encodings: [{ maxBitrate: picture.maxBitrateBps }], layers: [], scalabilityMode: "" };
  if (!picture.layered) return [plain];
  const temporal: EncodingPlan = {
    encodings: [{ maxBitrate: picture.maxBitrateBps, scalabilityMode: "L1T3" }],
    layers: [],
    scalabilityMode: "L1T3",
  };
  const spatial = spatialLayers(picture);
  const scalable = picture.codec === "vp9" || picture.codec === "av1";
  // Temporal layers without a dependency descriptor can be told apart in VP8, not in H.264.
  const single = picture.codec === "h264" ? [plain] : [temporal, plain];
  if (spatial === 1) return single;
  return scalable ? [...svcPlans(picture, spatial), ...single] : [...simulcastPlans(picture, spatial), plain];
}

/** Text is shown whole or not at all: a shared screen has one size, and fewer frames when bandwidth is short. */
function spatialLayers({ source, width, height }: Picture): number {
  if (source === "screen") return 1;
  const pixels = (width || DEFAULT_SIZE.width) * (height || DEFAULT_SIZE.height);
  return pixels >= PIXELS_FOR_THREE ? 3 : pixels >= PIXELS_FOR_TWO ? 2 : 1;
}

function layersOf(picture: Picture, count: number): PublishedLayer[] {
  return Array.from({ length: count }, (_, spatial) => {
    const down = 2 ** (count - 1 - spatial);
    const bits = picture.maxBitrateBps * SHARE_OF_NEXT ** (count - 1 - spatial);
    return {
      rid: "",
      width: Math.round(picture.width / down),
      height: Math.round(picture.height / down),
      maxBitrateBps: Math.round(Math.max(MIN_LAYER_BPS, bits)),
      inactive: false,
    };
  });
}

/**
 * The plan of a sender for pictures of another size. Its encodings stay as many as they are for life, so what is too much
 * for the new size is not sent: libwebrtc would drop upper encodings of small pictures by itself, and leave what remains
 * scaled down as before (`LimitSimulcastLayerCount`).
 */
export function refit(plan: EncodingPlan, picture: Picture): EncodingPlan {
  const { layers: before, encodings: all, scalabilityMode } = plan;
  if (before.length === 0) return plan;
  const count = Math.min(before.length, spatialLayers(picture));
  const sized = layersOf(picture, count);
  const layers = before.map(({ rid, maxBitrateBps }, index): PublishedLayer => {
    const layer = sized[index];
    return layer === undefined ? { rid, width: 0, height: 0, maxBitrateBps, inactive: true } : { ...layer, rid };
  });
  // A scalable encoding drops the layers for which there are too few pixels, and always ends with the whole picture.
  if (scalabilityMode !== "" && all.length === 1) return { ...plan, layers };
  const encodings = all.map((encoding, index): SendEncoding => {
    const layer = sized[index];
    if (layer === undefined) return { ...encoding, active: false };
    return {
      ...encoding,
      active: true,
      maxBitrate: layer.maxBitrateBps,
      scaleResolutionDownBy: 2 ** (count - 1 - index),
    };
  });
  return { ...plan, layers, encodings };
}

function simulcastPlans(picture: Picture, count: number): EncodingPlan[] {
  const rids = RIDS.slice(-count);
  const layers = layersOf(picture, count).map((layer, index) => ({ ...layer, rid: rids[index] ?? "" }));
  const encodings = layers.map(({ rid, maxBitrateBps }, index): SendEncoding => ({
    rid,
    maxBitrate: maxBitrateBps,
    scaleResolutionDownBy: 2 ** (count - 1 - index),
  }));
  const plan = { encodings, layers, scalabilityMode: "" };
  if (picture.codec !== "vp8") return [plan];
  return [{ ...plan, encodings: encodings.map((one) => ({ ...one, scalabilityMode: "L1T3" })) }, plan];
}

function svcPlans(picture: Picture, count: number): EncodingPlan[] {
  // With _KEY upper layers lean on lower ones in keyframes only, so that switching needs no bits of the layers above.
  const modes = [`L${count}T3_KEY`, `L${count}T3`];
  // What a scalable stream costs up to a layer includes the layers below it.
  const layers = layersOf(picture, count);
  return modes.map((scalabilityMode) => ({
    encodings: [{ maxBitrate: picture.maxBitrateBps, scalabilityMode }],
    layers,
    scalabilityMode,
  }));
}

/** Whether a sender has taken the plan: a browser that does not know a member leaves it out without an error. */
export function isTaken(plan: EncodingPlan, actual: readonly SendEncoding[]): boolean {
  if (actual.length !== plan.encodings.length) return false;
  return plan.encodings.every((wanted, index) => {
    const { rid, scalabilityMode } = actual[index] ?? {};
    return rid === wanted.rid && scalabilityMode === wanted.scalabilityMode;
  });
}

/**
 * What the encodings become when only some layers are watched. Besides `active` and `maxBitrate` only the plan's own
 * `scaleResolutionDownBy` ever changes: when the plan does.
 */
export function wantedEncodings(
  plan: EncodingPlan,
  wanted: WantedLayers | null,
): readonly { readonly active: boolean; readonly maxBitrate: number | undefined }[] {
  const simulcast = plan.encodings.length > 1;
  return plan.encodings.map(({ active: fits = true, maxBitrate }, index) => {
    if (wanted === null) return { active: fits, maxBitrate };
    if (simulcast) return { active: fits && wanted.watched && index <= wanted.maxSpatial, maxBitrate };
    // The encoder of a scalable stream drops the upper layers that its bit rate does not hold.
    const top = plan.layers[wanted.maxSpatial];
    return { active: wanted.watched, maxBitrate: top?.maxBitrateBps ?? maxBitrate };
  });
}
