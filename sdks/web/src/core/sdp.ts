/** The little of SDP that a client must read: which media section is which (RFC 8866, RFC 9143). */
import type { Mid } from "./model.js";

/** The `a=mid` of each media section, in order. */
export function readMids(sdp: string): Mid[] {
  const sections = sdp.split(/^m=/m).slice(1);
  return sections.map((section) => (/^a=mid:(\S+)/m.exec(section)?.[1] ?? "") as Mid);
}
