/**
 * Offers the dependency descriptor (AV1 RTP specification, appendix A), with which a server switches layers without parsing
 * the payload. Browsers support it and do not offer it by default. Nothing is changed in browsers without an API for header
 * extensions (W3C webrtc-extensions section 4).
 */
const URI = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension";

interface HeaderExtension {
  readonly uri: string;
  direction: RTCRtpTransceiverDirection;
}

interface WithHeaderExtensions {
  getHeaderExtensionsToNegotiate(): HeaderExtension[];
  setHeaderExtensionsToNegotiate(extensions: HeaderExtension[]): void;
}

export function offerDependencyDescriptor(transceiver: object): void {
  if (!("getHeaderExtensionsToNegotiate" in transceiver)) return;
  const negotiable = transceiver as WithHeaderExtensions;
  try {
    const extensions = negotiable.getHeaderExtensionsToNegotiate();
    for (const extension of extensions) if (extension.uri === URI) extension.direction = "sendrecv";
    negotiable.setHeaderExtensionsToNegotiate(extensions);
  } catch {
    // An early version of the draft's interface. The server then parses the payload.
  }
}
