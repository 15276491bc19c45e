/** The audio options that are written into an offer. */
import { describe, expect, it } from "vitest";
import type { Mid } from "./model.js";
import { readMids, applyAudioOptions } from "./sdp.js";

const MICROPHONE = [
  "m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 126",
  "a=mid:0",
  "a=rtpmap:111 opus/48000/2",
  "a=rtcp-fb:111 transport-cc",
  "a=fmtp:111 minptime=10;useinbandfec=1",
  "a=rtpmap:63 red/48000/2",
  "a=fmtp:63 111/111",
  "a=rtpmap:9 G722/8000",
  "a=rtpmap:126 telephone-event/8000",
  "",
].join("\r\n");
const SLOT = MICROPHONE.replace("a=mid:0", "a=mid:1");
const HEAD = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n";
const OFFER = HEAD + MICROPHONE + SLOT;

describe("applyAudioOptions", () => {
  const written = (red: boolean, dtx: boolean, sdp = OFFER): string => applyAudioOptions(sdp, new Map([["0" as Mid, { red, dtx }]]));

  it("leaves an offer unchanged when its defaults are chosen", () => {
    expect(written(true, false)).toBe(OFFER);
    expect(applyAudioOptions(OFFER, new Map())).toBe(OFFER);
  });

  it("removes redundancy from its section only", () => {
    const [microphone, slot] = written(false, false).split(/^(?=m=)/m).slice(1);
    expect(slot).toBe(SLOT);
    expect(microphone?.split("\r\n")).toEqual([
      "m=audio 9 UDP/TLS/RTP/SAVPF 111 9 126",
      "a=mid:0",
      "a=rtpmap:111 opus/48000/2",
      "a=rtcp-fb:111 transport-cc",
      "a=fmtp:111 minptime=10;useinbandfec=1",
      "a=rtpmap:9 G722/8000",
      "a=rtpmap:126 telephone-event/8000",
      "",
    ]);
    expect(readMids(written(false, false))).toEqual(["0", "1"]);
  });

  it("enables discontinuous transmission", () => {
    const [microphone, slot] = written(true, true).split(/^(?=m=)/m).slice(1);
    expect(microphone).toContain("a=fmtp:111 minptime=10;useinbandfec=1;usedtx=1\r\n");
    expect(slot).toBe(SLOT);
    expect(written(true, true, written(true, true))).toBe(written(true, true));
  });

  it("does not change an offer without Opus or redundancy", () => {
    const plain = OFFER.replaceAll("a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\n", "").replaceAll(" 111 63 ", " 111 ");
    expect(written(false, false, plain)).toBe(plain);
    const foreign = OFFER.replaceAll("opus/48000/2", "PCMU/8000");
    expect(written(true, true, foreign)).toBe(foreign);
  });
});
