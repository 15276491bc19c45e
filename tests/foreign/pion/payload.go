package main

import (
	"hash/crc32"
)

// The part of an RTP payload that the tests compare.
type payload struct {
	// CRC of the encoded bytes: an SFU may rewrite the VP8 descriptor, but nothing after it.
	crc uint32
	// True at the start of a VP8 keyframe and in every packet of an H.264 keyframe.
	keyframe bool
}

func inspect(fourcc string, bytes []byte) payload {
	switch fourcc {
	case "VP80":
		body, begins := afterVP8Descriptor(bytes)
		return payload{crc32.ChecksumIEEE(body), begins && len(body) > 0 && body[0]&1 == 0}
	case "H264":
		return payload{crc32.ChecksumIEEE(bytes), hasIDR(bytes)}
	}
	return payload{crc: crc32.ChecksumIEEE(bytes)}
}

// RFC 7741 section 4.2.
func afterVP8Descriptor(bytes []byte) (body []byte, beginsFrame bool) {
	if len(bytes) == 0 {
		return nil, false
	}
	size := 1
	if bytes[0]&0x80 != 0 && len(bytes) > 2 {
		size++
		if bytes[1]&0x80 != 0 {
			size++
			if bytes[2]&0x80 != 0 {
				size++
			}
		}
		if bytes[1]&0x40 != 0 {
			size++
		}
		if bytes[1]&0x30 != 0 {
			size++
		}
	}
	return bytes[min(size, len(bytes)):], bytes[0]&0x17 == 0x10
}

// RFC 6184 sections 5.6 to 5.8: a single NAL unit, STAP-A or FU-A.
func hasIDR(bytes []byte) bool {
	const idr, stapA, fuA = 5, 24, 28
	if len(bytes) < 2 {
		return false
	}
	switch bytes[0] & 0x1f {
	case idr:
		return true
	case fuA:
		return bytes[1]&0x1f == idr
	case stapA:
		for at := 1; at+2 < len(bytes); {
			if bytes[at+2]&0x1f == idr {
				return true
			}
			at += 2 + int(bytes[at])<<8 + int(bytes[at+1])
		}
	}
	return false
}

// Whether an encoded frame is a keyframe.
func isKeyframe(fourcc string, frame []byte) bool {
	switch fourcc {
	case "VP80":
		return len(frame) > 0 && frame[0]&1 == 0
	case "H264":
		for at := 0; at+3 < len(frame); at++ {
			if frame[at] == 0 && frame[at+1] == 0 && frame[at+2] == 1 && frame[at+3]&0x1f == 5 {
				return true
			}
		}
		return false
	}
	return true
}
