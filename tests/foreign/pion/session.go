package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// The part of proto/nexus/signaling/v1/session.proto that a participant needs, as canonical JSON.
type message struct {
	RequestID uint32 `json:"requestId"`

	Error        *errorMessage `json:"error"`
	Join         *joined       `json:"join"`
	UpdateSlots  *slotsAnswer  `json:"updateSlots"`
	Event        *roomEvent    `json:"event"`
	Disconnected *errorMessage `json:"disconnected"`
}

type errorMessage struct {
	Code    string `json:"code"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

type joined struct {
	Participant    participant   `json:"participant"`
	Participants   []participant `json:"participants"`
	SDP            string        `json:"sdp"`
	PingIntervalMs int           `json:"pingIntervalMs"`
}

type slotsAnswer struct {
	UnplacedTrackIDs []string `json:"unplacedTrackIds"`
}

type participant struct {
	ID       string  `json:"id"`
	Identity string  `json:"identity"`
	Tracks   []track `json:"tracks"`
}

type track struct {
	ID            string `json:"id"`
	Number        uint32 `json:"number"`
	ParticipantID string `json:"participantId"`
	Kind          string `json:"kind"`
}

type roomEvent struct {
	ParticipantJoined *struct {
		Participant participant `json:"participant"`
	} `json:"participantJoined"`
	ParticipantLeft *struct {
		Identity string `json:"identity"`
		Reason   string `json:"reason"`
	} `json:"participantLeft"`
	TrackPaused *struct {
		TrackID string `json:"trackId"`
	} `json:"trackPaused"`
}

// session is the WebSocket: requests with their replies, and events.
type session struct {
	socket  *websocket.Conn
	onEvent func(*roomEvent)
	// Why the session ended; written before `ended` is closed.
	failure error
	ended   chan struct{}

	mutex   sync.Mutex
	last    uint32
	waiting map[uint32]chan *message
}

func connect(url string, onEvent func(*roomEvent)) (*session, error) {
	dialer := websocket.Dialer{Subprotocols: []string{"nexus.v1.json"}, EnableCompression: true}
	socket, _, err := dialer.Dial(url, nil)
	if err != nil {
		return nil, err
	}
	s := &session{
		socket: socket, onEvent: onEvent, ended: make(chan struct{}), waiting: map[uint32]chan *message{},
	}
	go s.read()
	return s, nil
}

func (s *session) read() {
	defer close(s.ended)
	for {
		var got message
		if err := s.socket.ReadJSON(&got); err != nil {
			if s.failure == nil {
				s.failure = err
			}
			return
		}
		switch {
		case got.RequestID != 0:
			s.mutex.Lock()
			reply := s.waiting[got.RequestID]
			delete(s.waiting, got.RequestID)
			s.mutex.Unlock()
			if reply != nil {
				reply <- &got
			}
		case got.Event != nil:
			s.onEvent(got.Event)
		case got.Disconnected != nil:
			s.failure = fmt.Errorf("disconnected: %s: %s", got.Disconnected.Reason, got.Disconnected.Message)
		case got.Error != nil:
			s.failure = fmt.Errorf("%s: %s", got.Error.Code, got.Error.Message)
		}
	}
}

// request sends `{"requestId": …, name: body}` and waits for the reply.
func (s *session) request(name string, body any) (*message, error) {
	reply := make(chan *message, 1)
	s.mutex.Lock()
	s.last++
	s.waiting[s.last] = reply
	line, err := json.Marshal(fields{"requestId": s.last, name: body})
	if err == nil {
		err = s.socket.WriteMessage(websocket.TextMessage, line)
	}
	s.mutex.Unlock()
	if err != nil {
		return nil, err
	}
	select {
	case got := <-reply:
		if got.Error != nil {
			return nil, fmt.Errorf("%s: %s: %s", name, got.Error.Code, got.Error.Message)
		}
		return got, nil
	case <-s.ended:
		return nil, errors.Join(errors.New(name+" was not answered"), s.failure)
	}
}

// ping sends keep-alives until the session ends.
func (s *session) ping(every time.Duration) {
	for {
		select {
		case <-s.ended:
			return
		case <-time.After(every):
			if _, err := s.request("ping", fields{}); err != nil {
				return
			}
		}
	}
}
