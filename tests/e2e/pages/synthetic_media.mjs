// A camera with one colour and a microphone with one tone, so that receivers can identify video and audio. On request, the
// video flashes white every 1.5 s and a second tone beeps at the same time.
// @ts-check

export const BEEP_HZ = 3000;
const FLASH_EVERY_MS = 1500;
const FRAME_MS = 40;

/** @typedef {{color: string, toneHz: number, flash: boolean, busy: boolean, width: number, height: number}} Scene */
/** A further camera, requested by its id. @typedef {{color?: string, width?: number, height?: number}} Camera */

/** A moving video, whose next frame is drawn on request. @param {Scene} scene */
function createVideo(scene) {
  const canvas = document.createElement("canvas");
  canvas.width = scene.width;
  canvas.height = scene.height;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  let frame = 0;
  const draw = (/** @type {boolean} */ highlit) => {
    context.fillStyle = highlit ? "#ffffff" : scene.color;
    context.fillRect(0, 0, canvas.width, canvas.height);
    if (scene.busy) scatter(context);
    // A moving mark distinguishes a frozen video from a still one.
    frame += 1;
    context.fillStyle = "#808080";
    context.fillRect((frame * 4) % canvas.width, canvas.height - 8, 16, 8);
  };
  draw(false);
  // Without a rate every drawn frame is sent at once. With one, a frame that is early is left out, and a flash is late.
  return { draw, stream: canvas.captureStream() };
}

/** @param {Scene} scene */
export function createSyntheticMedia(scene) {
  const audio = new AudioContext();
  const tone = new OscillatorNode(audio, { frequency: scene.toneHz });
  const toneGain = new GainNode(audio, { gain: scene.toneHz > 0 ? 0.2 : 0 });
  const beep = new OscillatorNode(audio, { frequency: BEEP_HZ });
  const beepGain = new GainNode(audio, { gain: 0 });
  const sink = audio.createMediaStreamDestination();
  tone.connect(toneGain).connect(sink);
  beep.connect(beepGain).connect(sink);
  tone.start();
  beep.start();

  const video = createVideo(scene);
  /** @type {Map<string, ReturnType<typeof createVideo>>} */
  const cameras = new Map();
  let nextFlash = performance.now() + FLASH_EVERY_MS;
  let flashUntil = 0;
  setInterval(() => {
    const now = performance.now();
    if (scene.flash && now >= nextFlash) {
      nextFlash = now + FLASH_EVERY_MS;
      flashUntil = now + 200;
      beepGain.gain.setValueAtTime(0.6, audio.currentTime);
      beepGain.gain.setValueAtTime(0, audio.currentTime + 0.2);
    }
    for (const each of [video, ...cameras.values()]) each.draw(now < flashUntil);
  }, FRAME_MS);
  return {
    audio,
    /** @type {MediaStream | null} */
    permitted: null,
    /** Adds a camera; omitted properties are those of the scene. @param {string} deviceId @param {Camera} camera */
    addCamera(deviceId, camera) {
      cameras.set(deviceId, createVideo({ ...scene, ...camera }));
    },
    /** @param {MediaStreamConstraints} wanted */
    stream(wanted) {
      const stream = new MediaStream();
      const { stream: source } = cameras.get(deviceOf(wanted)) ?? video;
      if (wanted.video) for (const track of source.getVideoTracks()) stream.addTrack(track.clone());
      if (wanted.audio) for (const track of sink.stream.getAudioTracks()) stream.addTrack(track.clone());
      return stream;
    },
  };
}

/** The requested device; "default" for any device. @param {MediaStreamConstraints} wanted */
export function deviceOf(wanted) {
  const { video, audio } = wanted;
  const constraints = /** @type {any} */ (typeof video === "object" ? video : typeof audio === "object" ? audio : {});
  return constraints.deviceId?.exact ?? "default";
}

/** Moving detail, so that every encoder needs its full bit rate. @param {CanvasRenderingContext2D} context */
function scatter(context) {
  const { width, height } = context.canvas;
  for (let mark = 0; mark < 250; mark += 1) {
    const grey = Math.floor(Math.random() * 256);
    context.fillStyle = `rgb(${grey} ${grey} ${grey})`;
    context.fillRect(Math.random() * width, Math.random() * height, width / 60, height / 40);
  }
}

/**
 * Replaces the browser's devices by synthetic ones. One of the browser's fake devices is opened all the same, because a
 * browser uses all its addresses for ICE, loopback included, only while the page may capture.
 * @param {Scene} scene
 */
export async function installSyntheticMedia(scene) {
  const media = createSyntheticMedia(scene);
  media.permitted = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
  navigator.mediaDevices.getUserMedia = async (wanted = {}) => media.stream(wanted);
  navigator.mediaDevices.getDisplayMedia = async (wanted = { video: true }) => media.stream({ video: true, ...wanted });
  return media;
}
