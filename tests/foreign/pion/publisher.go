package main

import (
	"sync"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/pion/webrtc/v4"
)

const mtu = 1200

// publisher sends one clip at its frame rate and jumps to the next keyframe on request.
type publisher struct {
	clip       *clip
	track      *webrtc.TrackLocalStaticRTP
	packetizer rtp.Packetizer
	sender     *webrtc.RTPSender
	ticks      uint32 // of the RTP clock per frame

	stop    chan struct{}
	stopped chan struct{}

	mutex    sync.Mutex
	wanted   bool // a keyframe
	requests int
	packets  int
	frames   int
	keys     int
	crcs     []uint32
}

func newPublisher(path string) (*publisher, error) {
	media, err := readClip(path)
	if err != nil {
		return nil, err
	}
	capability, payloader := webrtc.RTPCodecCapability{}, rtp.Payloader(nil)
	id, clock := "video", uint32(90_000)
	switch media.fourcc {
	case "VP80":
		capability.MimeType, payloader = webrtc.MimeTypeVP8, &codecs.VP8Payloader{EnablePictureID: true}
	case "H264":
		capability.MimeType, payloader = webrtc.MimeTypeH264, &codecs.H264Payloader{}
		capability.SDPFmtpLine = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"
	default:
		id, clock = "audio", 48_000
		capability.MimeType, capability.Channels, payloader = webrtc.MimeTypeOpus, 2, &codecs.OpusPayloader{}
	}
	capability.ClockRate = clock
	track, err := webrtc.NewTrackLocalStaticRTP(capability, id, "pion")
	if err != nil {
		return nil, err
	}
	return &publisher{
		clip:  media,
		track: track,
		// Payload type and SSRC are written by the track.
		packetizer: rtp.NewPacketizer(mtu, 0, 0, payloader, rtp.NewRandomSequencer(), clock),
		ticks:      clock / media.rate,
		stop:       make(chan struct{}),
		stopped:    make(chan struct{}),
	}, nil
}

// codecName is the name in proto/nexus/types/v1/media.proto.
func (p *publisher) codecName() string {
	return map[string]string{"VP80": "CODEC_VP8", "H264": "CODEC_H264", "OPUS": "CODEC_OPUS"}[p.clip.fourcc]
}

func (p *publisher) kind() string { return p.track.Kind().String() }

// readRTCP handles RTCP about the stream until the connection ends.
func (p *publisher) readRTCP() {
	for {
		packets, _, err := p.sender.ReadRTCP()
		if err != nil {
			return
		}
		for _, packet := range packets {
			switch packet.(type) {
			case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
				p.mutex.Lock()
				p.wanted = true
				p.requests++
				p.mutex.Unlock()
			}
		}
	}
}

// send runs until it is stopped. It sends late frames immediately and skips none.
func (p *publisher) send() error {
	defer close(p.stopped)
	period := time.Second / time.Duration(p.clip.rate)
	began := time.Now()
	for number, at := 0, 0; ; number, at = number+1, at+1 {
		select {
		case <-p.stop:
			return nil
		case <-time.After(time.Until(began.Add(time.Duration(number) * period))):
		}
		at = p.next(at)
		if err := p.sendFrame(p.clip.frames[at]); err != nil {
			return err
		}
	}
}

// next is the frame to send: `at`, or the next keyframe if one is requested.
func (p *publisher) next(at int) int {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	at %= len(p.clip.frames)
	if p.wanted {
		for !isKeyframe(p.clip.fourcc, p.clip.frames[at]) {
			at = (at + 1) % len(p.clip.frames)
		}
		p.wanted = false
	}
	return at
}

func (p *publisher) sendFrame(frame []byte) error {
	packets := p.packetizer.Packetize(frame, p.ticks)
	p.mutex.Lock()
	p.frames++
	if p.kind() == "video" && isKeyframe(p.clip.fourcc, frame) {
		p.keys++
	}
	p.packets += len(packets)
	for _, packet := range packets {
		p.crcs = append(p.crcs, inspect(p.clip.fourcc, packet.Payload).crc)
	}
	p.mutex.Unlock()
	for _, packet := range packets {
		if err := p.track.WriteRTP(packet); err != nil {
			return err
		}
	}
	return nil
}

func (p *publisher) end() {
	close(p.stop)
	<-p.stopped
}

func (p *publisher) counters() fields {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return fields{"packets": p.packets, "frames": p.frames, "keyframes": p.keys, "requests": p.requests}
}

func (p *publisher) payloads() []uint32 {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return append([]uint32{}, p.crcs...)
}
