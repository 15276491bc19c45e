package main

import (
	"errors"
	"fmt"
	"hash/crc32"
	"sync"
	"time"

	"github.com/pion/webrtc/v4"
)

// client is one participant.
type client struct {
	reports    *reporter
	session    *session
	connection *webrtc.PeerConnection
	channel    *webrtc.DataChannel
	publishers []*publisher
	subscriber *subscriber
	subscribes bool

	mutex      sync.Mutex
	identities map[string]string // by participant ID
	sending    bool
	leaving    bool
}

func (c *client) handleMessage(got webrtc.DataChannelMessage) {
	sender, text, payload, err := unwrap(got.Data)
	if err != nil {
		c.reports.emit("error", fields{"message": err.Error()})
		return
	}
	report := fields{"from": c.identityOf(sender), "size": len(payload), "crc": crc32.ChecksumIEEE(payload)}
	if text {
		report["text"] = string(payload)
	}
	c.reports.emit("message", report)
}

// handleEvent runs on the session's reading goroutine, so its requests wait on another one.
func (c *client) handleEvent(event *roomEvent) {
	switch {
	case event.ParticipantJoined != nil:
		c.addParticipant(event.ParticipantJoined.Participant)
		go c.watch(event.ParticipantJoined.Participant.Tracks)
	case event.ParticipantLeft != nil:
		left := event.ParticipantLeft
		c.reports.emit("participant-left", fields{"identity": left.Identity, "reason": left.Reason})
	case event.TrackPaused != nil:
		c.reports.emit("track-paused", fields{"track": event.TrackPaused.TrackID})
	}
}

func (c *client) addParticipant(other participant) {
	c.mutex.Lock()
	c.identities[other.ID] = other.Identity
	c.mutex.Unlock()
	for _, published := range other.Tracks {
		kind := "audio"
		if published.Kind == "TRACK_KIND_VIDEO" {
			kind = "video"
		}
		c.reports.emit("track", fields{"identity": other.Identity, "kind": kind, "number": published.Number})
	}
}

func (c *client) identityOf(id string) string {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.identities[id]
}

// watch requests video; the server binds audio by itself.
func (c *client) watch(tracks []track) {
	wanted := []string{}
	for _, published := range tracks {
		if published.Kind == "TRACK_KIND_VIDEO" {
			wanted = append(wanted, published.ID)
		}
	}
	if !c.subscribes || len(wanted) == 0 {
		return
	}
	reply, err := c.session.request("updateSlots", fields{"bindTrackIds": wanted})
	if err == nil && reply.UpdateSlots != nil && len(reply.UpdateSlots.UnplacedTrackIDs) > 0 {
		err = errors.New("there is no slot for a track")
	}
	if err != nil {
		c.reports.emit("error", fields{"message": err.Error()})
	}
}

func (c *client) execute(wanted command) error {
	switch wanted.Command {
	case "start":
		c.start()
	case "stop":
		c.stop()
	case "request-keyframes":
		return c.connection.WriteRTCP(c.subscriber.keyframeRequests())
	case "say":
		return c.sendMessage(wanted)
	default:
		return fmt.Errorf("unknown command %q", wanted.Command)
	}
	return nil
}

func (c *client) start() {
	c.sending = true
	for _, published := range c.publishers {
		go func() {
			if err := published.send(); err != nil {
				c.reports.emit("error", fields{"message": err.Error()})
			}
		}()
	}
	go func() {
		for range time.Tick(time.Second) {
			c.report()
		}
	}()
}

func (c *client) stop() {
	if c.sending {
		for _, published := range c.publishers {
			published.end()
		}
		c.sending = false
	}
	c.reports.emit("stopped", nil)
}

func (c *client) sendMessage(wanted command) error {
	if wanted.Text != "" {
		return c.channel.Send(wrap([]byte(wanted.Text), true))
	}
	large := make([]byte, wanted.Size)
	for i := range large {
		large[i] = byte(i % 251)
	}
	return c.channel.Send(wrap(large, false))
}

func (c *client) report() {
	sent := fields{}
	for _, published := range c.publishers {
		sent[published.kind()] = published.counters()
	}
	c.reports.emit("second", fields{
		"sent": sent, "received": c.subscriber.counters(), "unattributed": c.subscriber.unattributedPackets(),
	})
}

func (c *client) watchSession() {
	<-c.session.ended
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if !c.leaving {
		c.reports.emit("error", fields{"message": fmt.Sprintf("the session ended: %v", c.session.failure)})
	}
}

func (c *client) leave() error {
	if c.sending {
		c.stop()
	}
	c.mutex.Lock()
	c.leaving = true
	c.mutex.Unlock()
	c.report()
	for _, published := range c.publishers {
		c.reports.emit("payloads", fields{"sent": published.kind(), "crcs": published.payloads()})
	}
	for number, crcs := range c.subscriber.payloads() {
		c.reports.emit("payloads", fields{"received": number, "crcs": crcs})
	}
	if _, err := c.session.request("leave", fields{}); err != nil {
		return err
	}
	if err := c.connection.Close(); err != nil {
		return err
	}
	c.reports.emit("left", nil)
	return nil
}
