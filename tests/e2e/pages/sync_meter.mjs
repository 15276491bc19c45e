// Measures the offset between flashes in a video and the beeps that belong to them.
//
// A flash is timed by the expected display time of its frame (requestVideoFrameCallback), a beep by the sample at which its
// tone starts, on the clock of the audio graph that reads the received track.
// @ts-check
import { BEEP_HZ } from "/pages/synthetic_media.mjs";

const WORKLET = `
// Goertzel over 5 ms blocks at one frequency: reports the frame at which the tone starts.
registerProcessor("onset", class extends AudioWorkletProcessor {
  constructor(options) {
    super();
    this.coefficient = 2 * Math.cos((2 * Math.PI * options.processorOptions.hz) / sampleRate);
    this.a = 0; this.b = 0; this.count = 0; this.loud = false;
    this.block = Math.round(sampleRate * 0.005);
  }
  process([input]) {
    const samples = input[0];
    if (!samples) return true;
    for (let i = 0; i < samples.length; i += 1) {
      const next = samples[i] + this.coefficient * this.a - this.b;
      this.b = this.a; this.a = next; this.count += 1;
      if (this.count === this.block) {
        const power = (this.a * this.a + this.b * this.b - this.coefficient * this.a * this.b) / (this.block * this.block);
        const loud = power > 0.002;
        if (loud && !this.loud) this.port.postMessage((currentFrame + i - this.block) / sampleRate);
        this.loud = loud;
        this.a = 0; this.b = 0; this.count = 0;
      }
    }
    return true;
  }
});`;

/**
 * `audio` is the SDK's remote track, which moves to another slot, and so to another stream, when its video is bound.
 * @param {AudioContext} context @param {HTMLVideoElement} element @param {any} audio
 */
export function createSyncMeter(context, element, audio) {
  return {
    /** Offsets of this number of flashes in ms; positive if the audio is late. @param {number} flashes */
    async measure(flashes) {
      const module = URL.createObjectURL(new Blob([WORKLET], { type: "text/javascript" }));
      await context.audioWorklet.addModule(module).catch(() => undefined);
      const onset = new AudioWorkletNode(context, "onset", { processorOptions: { hz: BEEP_HZ } });
      /** @type {MediaStreamAudioSourceNode | null} */
      let source = null;
      const listen = (/** @type {MediaStream | null} */ stream) => {
        source?.disconnect();
        source = stream && context.createMediaStreamSource(stream);
        source?.connect(onset);
      };
      listen(audio.mediaStream);
      const stopFollowing = audio.on("stream", listen);
      /** @type {number[]} */
      const beeps = [];
      /** @type {number[]} */
      const flashTimes = [];
      // Converts the audio clock to the page's clock when a beep is reported.
      onset.port.onmessage = ({ data }) => beeps.push(performance.now() - (context.currentTime - data) * 1000);
      const canvas = document.createElement("canvas");
      canvas.width = canvas.height = 1;
      const pixels = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
      let bright = true;
      let running = true;
      const look = (/** @type {number} */ _now, /** @type {VideoFrameCallbackMetadata} */ metadata) => {
        pixels.drawImage(element, 0, 0, 1, 1);
        const [red = 0, green = 0, blue = 0] = pixels.getImageData(0, 0, 1, 1).data;
        const white = Math.min(red, green, blue) > 180;
        if (white && !bright) flashTimes.push(metadata.expectedDisplayTime);
        bright = white;
        if (running) element.requestVideoFrameCallback(look);
      };
      element.requestVideoFrameCallback(look);
      const end = performance.now() + flashes * 1500 * 3 + 5000;
      while (Math.min(beeps.length, flashTimes.length) < flashes && performance.now() < end) {
        await new Promise((done) => setTimeout(done, 100));
      }
      running = false;
      stopFollowing();
      listen(null);
      onset.disconnect();
      const offsets = flashTimes.flatMap((at) => {
        const nearest = beeps.reduce((best, beep) => (Math.abs(beep - at) < Math.abs(best - at) ? beep : best), Infinity);
        return Math.abs(nearest - at) < 700 ? [nearest - at] : [];
      });
      return { offsets, flashes: flashTimes.length, beeps: beeps.length, hearing: context.state };
    },
  };
}
