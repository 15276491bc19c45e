package main

import (
	"errors"
	"time"

	"github.com/pion/webrtc/v4"
)

// Deadline for ICE and DTLS to connect.
const connectTimeout = 30 * time.Second

// join returns when the server has answered and media is connected.
func join(wanted configuration, reports *reporter) (*client, error) {
	c := &client{
		reports: reports, subscriber: newSubscriber(), subscribes: wanted.Pairs > 0, identities: map[string]string{},
	}
	if err := c.prepare(wanted); err != nil {
		return nil, err
	}
	connected, failed := make(chan struct{}), make(chan struct{})
	c.connection.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		reports.emit("connection-state", fields{"state": state.String()})
		switch state {
		case webrtc.PeerConnectionStateConnected:
			close(connected)
		case webrtc.PeerConnectionStateFailed:
			close(failed)
		}
	})
	offer, err := c.offer()
	if err != nil {
		return nil, err
	}
	c.session, err = connect(wanted.URL, c.handleEvent)
	if err != nil {
		return nil, err
	}
	if err := c.negotiate(wanted, offer); err != nil {
		return nil, err
	}
	select {
	case <-connected:
		reports.emit("connected", nil)
	case <-failed:
		return nil, errors.New("the peer connection failed")
	case <-time.After(connectTimeout):
		return nil, errors.New("ICE and DTLS did not come up")
	}
	go c.watchSession()
	return c, nil
}

func (c *client) prepare(wanted configuration) error {
	var err error
	if c.connection, err = webrtc.NewPeerConnection(webrtc.Configuration{}); err != nil {
		return err
	}
	c.connection.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		if err := c.subscriber.read(track); err != nil {
			c.reports.emit("error", fields{"message": err.Error()})
		}
	})
	if err := c.openChannel(); err != nil {
		return err
	}
	for _, path := range []string{wanted.Audio, wanted.Video} {
		if path == "" {
			continue
		}
		published, err := newPublisher(path)
		if err != nil {
			return err
		}
		transceiver, err := c.connection.AddTransceiverFromTrack(
			published.track, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly},
		)
		if err != nil {
			return err
		}
		published.sender = transceiver.Sender()
		c.publishers = append(c.publishers, published)
	}
	for range wanted.Pairs {
		for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeAudio, webrtc.RTPCodecTypeVideo} {
			_, err := c.connection.AddTransceiverFromKind(
				kind, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly},
			)
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *client) openChannel() error {
	protocol := dataProtocol
	channel, err := c.connection.CreateDataChannel("nexus", &webrtc.DataChannelInit{Protocol: &protocol})
	if err != nil {
		return err
	}
	c.channel = channel
	channel.OnOpen(func() { c.reports.emit("data-open", nil) })
	channel.OnMessage(c.handleMessage)
	c.connection.OnDataChannel(func(opened *webrtc.DataChannel) { opened.OnMessage(c.handleMessage) })
	return nil
}

func (c *client) offer() (string, error) {
	offer, err := c.connection.CreateOffer(nil)
	if err != nil {
		return "", err
	}
	gathered := webrtc.GatheringCompletePromise(c.connection)
	if err := c.connection.SetLocalDescription(offer); err != nil {
		return "", err
	}
	<-gathered
	return c.connection.LocalDescription().SDP, nil
}

func (c *client) negotiate(wanted configuration, offer string) error {
	publications := []fields{}
	for _, transceiver := range c.connection.GetTransceivers() {
		for _, published := range c.publishers {
			if transceiver.Sender() != published.sender {
				continue
			}
			source := "TRACK_SOURCE_MICROPHONE"
			if published.kind() == "video" {
				source = "TRACK_SOURCE_CAMERA"
			}
			// The offer has all codecs of Pion, but this client sends only the clip's.
			publications = append(publications, fields{
				"mid": transceiver.Mid(), "source": source, "preferredCodec": published.codecName(),
			})
			go published.readRTCP()
		}
	}
	reply, err := c.session.request("join", fields{
		"token":        wanted.Token,
		"room":         wanted.Room,
		"sdp":          offer,
		"publications": publications,
		"client":       fields{"sdk": "pion", "version": "0"},
		"bindExisting": c.subscribes,
	})
	if err != nil {
		return err
	}
	if reply.Join == nil {
		return errors.New("the reply to join has no answer")
	}
	c.reports.emit("joined", fields{"participant": reply.Join.Participant.ID})
	for _, other := range reply.Join.Participants {
		c.addParticipant(other)
	}
	go c.session.ping(time.Duration(reply.Join.PingIntervalMs) * time.Millisecond)
	answer := webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: reply.Join.SDP}
	return c.connection.SetRemoteDescription(answer)
}
