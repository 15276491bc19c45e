// Transforms the encoded frames of a page (W3C webrtc-encoded-transform): encrypts sent frames and decrypts received ones if
// requested, and reports the metadata of received frames.
// @ts-check
const KEY = 0x5a;

/** @param {ArrayBuffer} data */
function scramble(data) {
  const bytes = new Uint8Array(data);
  for (let at = 0; at < bytes.length; at += 1) bytes[at] = (bytes[at] ?? 0) ^ KEY;
}

/** @type {any} */ (self).onrtctransform = ({ transformer }) => {
  const { options, readable, writable } = transformer;
  const transform = new TransformStream({
    /** @param {any} frame @param {TransformStreamDefaultController} controller */
    transform(frame, controller) {
      if (options.encrypt) scramble(frame.data);
      if (options.side === "receiver") {
        const { frameId, dependencies, spatialIndex, temporalIndex } = frame.getMetadata();
        const rtpTimestamp = frame.timestamp;
        self.postMessage({ receiver: options.receiver, type: frame.type, frameId, dependencies, spatialIndex, temporalIndex, rtpTimestamp });
      }
      controller.enqueue(frame);
    },
  });
  void readable.pipeThrough(transform).pipeTo(writable);
};
