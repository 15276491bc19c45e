package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"
)

// source is one remote track, identified by the track number in the CSRC of its packets.
type source struct {
	packets, frames, keys int
	lastKey               uint32 // its timestamp
	crcs                  []uint32
}

// subscriber counts received packets by their track number.
type subscriber struct {
	mutex   sync.Mutex
	sources map[uint32]*source
	// SSRCs of the started video streams.
	video map[webrtc.SSRC]bool
	// Packets with no track number or with several.
	unattributed int
}

func newSubscriber() *subscriber {
	return &subscriber{sources: map[uint32]*source{}, video: map[webrtc.SSRC]bool{}}
}

// read runs until the track ends and returns other errors.
func (s *subscriber) read(track *webrtc.TrackRemote) error {
	if track.Kind() == webrtc.RTPCodecTypeVideo {
		s.mutex.Lock()
		s.video[track.SSRC()] = true
		s.mutex.Unlock()
	}
	for {
		packet, _, err := track.ReadRTP()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s stream %d: %w", track.Kind(), track.SSRC(), err)
		}
		if len(packet.Payload) == 0 {
			continue // padding of a bandwidth probe
		}
		s.count(packet.CSRC, packet.Timestamp, packet.Marker, inspect(fourccOf(track.Codec()), packet.Payload))
	}
}

func (s *subscriber) count(csrcs []uint32, timestamp uint32, marker bool, carried payload) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if len(csrcs) != 1 {
		s.unattributed++
		return
	}
	from := s.sources[csrcs[0]]
	if from == nil {
		from = &source{}
		s.sources[csrcs[0]] = from
	}
	from.packets++
	from.crcs = append(from.crcs, carried.crc)
	if marker {
		from.frames++
	}
	if carried.keyframe && (from.keys == 0 || from.lastKey != timestamp) {
		from.keys++
		from.lastKey = timestamp
	}
}

func fourccOf(codec webrtc.RTPCodecParameters) string {
	switch strings.ToLower(codec.MimeType) {
	case strings.ToLower(webrtc.MimeTypeVP8):
		return "VP80"
	case strings.ToLower(webrtc.MimeTypeH264):
		return "H264"
	}
	return "OPUS"
}

// keyframeRequests has one PLI for each video stream.
func (s *subscriber) keyframeRequests() []rtcp.Packet {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	var requests []rtcp.Packet
	for ssrc := range s.video {
		requests = append(requests, &rtcp.PictureLossIndication{MediaSSRC: uint32(ssrc)})
	}
	return requests
}

func (s *subscriber) counters() map[uint32]fields {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	all := map[uint32]fields{}
	for number, from := range s.sources {
		all[number] = fields{"packets": from.packets, "frames": from.frames, "keyframes": from.keys}
	}
	return all
}

func (s *subscriber) unattributedPackets() int {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.unattributed
}

func (s *subscriber) payloads() map[uint32][]uint32 {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	all := map[uint32][]uint32{}
	for number, from := range s.sources {
		all[number] = append([]uint32{}, from.crcs...)
	}
	return all
}
