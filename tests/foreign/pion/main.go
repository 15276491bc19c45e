// A participant on Pion, as an application that embeds Pion would write it: the default configuration of webrtc.API,
// tracks of encoded media, RTP read from the tracks that arrive. It reads commands from standard input and reports on
// standard output; tests/foreign/README.md describes both.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// configuration is the first line of standard input.
type configuration struct {
	URL   string `json:"url"`
	Token string `json:"token"`
	Room  string `json:"room"`
	// Number of pairs of receive-only sections in the offer.
	Pairs int `json:"pairs"`
	// IVF files of encoded media to publish; empty: no track of that kind.
	Audio string `json:"audio"`
	Video string `json:"video"`
}

type command struct {
	Command string `json:"command"`
	Text    string `json:"text"`
	Size    int    `json:"size"`
}

func main() {
	reports := newReporter(os.Stdout)
	if err := run(reports); err != nil {
		reports.emit("error", fields{"message": err.Error()})
		os.Exit(1)
	}
}

func run(reports *reporter) error {
	lines := bufio.NewScanner(os.Stdin)
	if !lines.Scan() {
		return errors.New("no configuration on standard input")
	}
	var wanted configuration
	if err := json.Unmarshal(lines.Bytes(), &wanted); err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	client, err := join(wanted, reports)
	if err != nil {
		return err
	}
	// The client leaves at the end of standard input, so that it never outlives its test.
	for lines.Scan() {
		var asked command
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			return fmt.Errorf("command: %w", err)
		}
		if asked.Command == "leave" {
			break
		}
		if err := client.execute(asked); err != nil {
			return fmt.Errorf("%s: %w", asked.Command, err)
		}
	}
	return client.leave()
}
