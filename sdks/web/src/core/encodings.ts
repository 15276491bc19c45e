/**
 * The encodings of a video track: several (simulcast, RFC 8853) for codecs without spatial layers, one scalable encoding
 * (W3C webrtc-svc) for codecs with them, one plain encoding where neither is worth its cost or supported.
 *
 * Plans are ordered best first, and a sender uses the first one that the browser accepts. The server is sent the layers low
 * to high, which is also the order of the encodings.
 */
import type { TrackSource, VideoCodec, PublishedLayer, LayerDemand } from "./model.js";

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
export interface VideoSize {
  readonly width: number;
  readonly height: number;
}

export interface VideoSource extends VideoSize {
  readonly source: TrackSource;
  readonly codec: VideoCodec;
  readonly maxBitrateBps: number;
  /** False: one encoding, whatever the codec. */
  readonly layered: boolean;
}

/** RIDs of W3C's examples. They have no meaning: the server uses the order. */
const RIDS = ["q", "h", "f"];
/** Share of the next layer's bit rate: half the width and height needs about a third of the bits for the same quality. */
const SHARE_OF_NEXT = 0.3;
const MIN_LAYER_BPS = 60_000;
/** Minimum sizes: below 540p a quarter of the width is too small to recognise a face, below 270p half of it is. */
const PIXELS_FOR_THREE = 960 * 540;
const PIXELS_FOR_TWO = 480 * 270;
/** Size assumed for a camera whose size is unknown. */
const DEFAULT_SIZE = { width: 1280, height: 720 };

export function encodingPlans(source: VideoSource): EncodingPlan[] {
  const plain: EncodingPlan = { encodings: [{ maxBitrate: source.maxBitrateBps }], layers: [], scalabilityMode: "" };
  if (!source.layered) return [plain];
  const temporal: EncodingPlan = {
    encodings: [{ maxBitrate: source.maxBitrateBps, scalabilityMode: "L1T3" }],
    layers: [],
    scalabilityMode: "L1T3",
  };
  const spatial = spatialLayers(source);
  const scalable = source.codec === "vp9" || source.codec === "av1";
  // Without a dependency descriptor, temporal layers can be distinguished in VP8 but not in H.264.
  const single = source.codec === "h264" ? [plain] : [temporal, plain];
  if (spatial === 1) return single;
  return scalable ? [...svcPlans(source, spatial), ...single] : [...simulcastPlans(source, spatial), plain];
}

/** A shared screen has one size, so that text stays legible, and fewer frames when bandwidth is short. */
function spatialLayers({ source, width, height }: VideoSource): number {
  if (source === "screen") return 1;
  const pixels = (width || DEFAULT_SIZE.width) * (height || DEFAULT_SIZE.height);
  return pixels >= PIXELS_FOR_THREE ? 3 : pixels >= PIXELS_FOR_TWO ? 2 : 1;
}

function layersOf(source: VideoSource, count: number): PublishedLayer[] {
  return Array.from({ length: count }, (_, spatial) => {
    const down = 2 ** (count - 1 - spatial);
    const bits = source.maxBitrateBps * SHARE_OF_NEXT ** (count - 1 - spatial);
    return {
      rid: "",
      width: Math.round(source.width / down),
      height: Math.round(source.height / down),
      maxBitrateBps: Math.round(Math.max(MIN_LAYER_BPS, bits)),
      inactive: false,
    };
  });
}

/**
 * The plan of a sender after its source has changed size. The number of encodings of a sender is fixed, so those that the
 * new size has too few pixels for are switched off. libwebrtc would drop upper encodings of small frames by itself, and
 * leave the others scaled down as before (`LimitSimulcastLayerCount`).
 */
export function refit(plan: EncodingPlan, source: VideoSource): EncodingPlan {
  const { layers: before, encodings: all, scalabilityMode } = plan;
  if (before.length === 0) return plan;
  const count = Math.min(before.length, spatialLayers(source));
  const sized = layersOf(source, count);
  const layers = before.map(({ rid, maxBitrateBps }, index): PublishedLayer => {
    const layer = sized[index];
    return layer === undefined ? { rid, width: 0, height: 0, maxBitrateBps, inactive: true } : { ...layer, rid };
  });
  // A scalable encoding drops the layers for which there are too few pixels, and always ends with the whole source.
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

function simulcastPlans(source: VideoSource, count: number): EncodingPlan[] {
  const rids = RIDS.slice(-count);
  const layers = layersOf(source, count).map((layer, index) => ({ ...layer, rid: rids[index] ?? "" }));
  const encodings = layers.map(({ rid, maxBitrateBps }, index): SendEncoding => ({
    rid,
    maxBitrate: maxBitrateBps,
    scaleResolutionDownBy: 2 ** (count - 1 - index),
  }));
  const plan = { encodings, layers, scalabilityMode: "" };
  if (source.codec !== "vp8") return [plan];
  return [{ ...plan, encodings: encodings.map((one) => ({ ...one, scalabilityMode: "L1T3" })) }, plan];
}

function svcPlans(source: VideoSource, count: number): EncodingPlan[] {
  // With _KEY, upper layers depend on lower ones in keyframes only, so that switching needs no bits of the layers above.
  const modes = [`L${count}T3_KEY`, `L${count}T3`];
  // The bit rate up to a layer of a scalable stream includes the layers below it.
  const layers = layersOf(source, count);
  return modes.map((scalabilityMode) => ({
    encodings: [{ maxBitrate: source.maxBitrateBps, scalabilityMode }],
    layers,
    scalabilityMode,
  }));
}

/** Whether a sender applied the plan: a browser that does not know a member leaves it out without an error. */
export function isTaken(plan: EncodingPlan, actual: readonly SendEncoding[]): boolean {
  if (actual.length !== plan.encodings.length) return false;
  return plan.encodings.every((wanted, index) => {
    const { rid, scalabilityMode } = actual[index] ?? {};
    return rid === wanted.rid && scalabilityMode === wanted.scalabilityMode;
  });
}

/**
 * The state of each encoding while subscribers can use only some layers. Of a sender's other parameters only
 * `scaleResolutionDownBy` changes, and only with the plan.
 */
export function demandedEncodings(
  plan: EncodingPlan,
  demand: LayerDemand | null,
): readonly { readonly active: boolean; readonly maxBitrate: number | undefined }[] {
  const simulcast = plan.encodings.length > 1;
  return plan.encodings.map(({ active: fits = true, maxBitrate }, index) => {
    if (demand === null) return { active: fits, maxBitrate };
    if (simulcast) return { active: fits && demand.watched && index <= demand.maxSpatial, maxBitrate };
    // The encoder of a scalable stream drops the upper layers that do not fit its bit rate.
    const top = plan.layers[demand.maxSpatial];
    return { active: demand.watched, maxBitrate: top?.maxBitrateBps ?? maxBitrate };
  });
}
