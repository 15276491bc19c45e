// A camera with a view, for pictures of the demo: a person in front of hills.
// @ts-check

/** Replaces the camera of a page; runs in the page, so it refers to nothing outside. @param {string} name */
export function showScenery(name) {
  const canvas = document.createElement("canvas");
  canvas.width = 640;
  canvas.height = 360;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const isFirst = name < "B";
  const [sky, haze, hills, coat, skin, hair] = isFirst ? ["#7fb2e5", "#f7e3c4", "#4f7d5c", "#c2513f", "#e9b995", "#4b2e20"] : ["#2f3e63", "#e79a6b", "#3d3550", "#3f7f8c", "#a9714b", "#17130f"];
  const disc = (/** @type {string} */ color, /** @type {number} */ x, /** @type {number} */ y, /** @type {number} */ rx, /** @type {number} */ ry) => {
    context.fillStyle = color;
    context.beginPath();
    context.ellipse(x, y, rx, ry, 0, 0, 2 * Math.PI);
    context.fill();
  };
  const draw = () => {
    const seconds = performance.now() / 1000;
    const gradient = context.createLinearGradient(0, 0, 0, 300);
    gradient.addColorStop(0, sky ?? "");
    gradient.addColorStop(1, haze ?? "");
    context.fillStyle = gradient;
    context.fillRect(0, 0, 640, 360);
    disc("#fff4d6", 520 - (seconds % 60), 84, 30, 30);
    for (let hill = 0; hill < 4; hill += 1) disc(hills ?? "", hill * 210 + 20, 330, 190, 110 + 20 * (hill % 2));
    const sway = 6 * Math.sin(seconds);
    disc(coat ?? "", 320 + sway / 2, 372, 132, 122);
    disc(hair ?? "", 320 + sway, 158, 80, 88);
    disc(skin ?? "", 320 + sway, 176, 62, 76);
    for (const side of [-1, 1]) disc("#22222a", 320 + sway + side * 24, 168, 6, seconds % 4 < 0.15 ? 1 : 7);
    disc("#8c3b33", 320 + sway, 214, 22, 4 + 5 * Math.abs(Math.sin(seconds * 5)));
  };
  setInterval(draw, 40);
  draw();
  const { getUserMedia } = navigator.mediaDevices;
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    const stream = await getUserMedia.call(navigator.mediaDevices, wanted);
    if (!wanted?.video) return stream;
    const video = canvas.captureStream().getVideoTracks();
    for (const track of stream.getVideoTracks()) track.stop();
    return new MediaStream([...video.map((track) => track.clone()), ...stream.getAudioTracks()]);
  };
}
