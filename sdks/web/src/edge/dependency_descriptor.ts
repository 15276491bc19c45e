/**
 * Asks for the dependency descriptor (AV1 RTP specification, appendix A), by which a server switches layers without
 * reading the picture. Browsers know it and do not offer it by themselves; where they have no say about header extensions
 * (W3C webrtc-extensions section 4), nothing is asked.
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
    // An early version of the draft's interface: layers are then switched by what the payload says.
  }
}
