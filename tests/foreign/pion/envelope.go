package main

import "errors"

// The header of a message on a data channel: docs/reference/data.md.
const (
	dataProtocol = "nexus.data.v1"
	dataVersion  = 1
	flagText     = 0x01
	flagFirst    = 0x08
	flagLast     = 0x10
)

// wrap returns a message with a payload below 255 KiB to all participants.
func wrap(payload []byte, text bool) []byte {
	flags := byte(0)
	if text {
		flags = flagText
	}
	// No sender (the server fills it in), no topic, no destinations.
	return append([]byte{dataVersion, flags, 0, 0, 0}, payload...)
}

// unwrap returns the sender's ID, whether the payload is text, and the payload.
func unwrap(message []byte) (sender string, text bool, payload []byte, err error) {
	short := errors.New("a message that ends inside its header")
	if len(message) < 2 {
		return "", false, nil, short
	}
	if message[0] != dataVersion || message[1]&(flagFirst|flagLast) != 0 {
		return "", false, nil, errors.New("a message of another version, or in parts")
	}
	text, message = message[1]&flagText != 0, message[2:]
	var found [2][]byte // sender, topic
	for i := range found {
		if len(message) == 0 || len(message) < 1+int(message[0]) {
			return "", false, nil, short
		}
		found[i], message = message[1:1+int(message[0])], message[1+int(message[0]):]
	}
	if len(message) == 0 || message[0] != 0 {
		return "", false, nil, errors.New("a message with destinations")
	}
	return string(found[0]), text, message[1:], nil
}
