package main

import (
	"encoding/json"
	"io"
	"sync"
)

type fields map[string]any

// reporter writes one JSON object per line; all goroutines may use it.
type reporter struct {
	mutex   sync.Mutex
	encoder *json.Encoder
}

func newReporter(out io.Writer) *reporter {
	return &reporter{encoder: json.NewEncoder(out)}
}

func (r *reporter) emit(event string, of fields) {
	line := fields{"event": event}
	for name, value := range of {
		line[name] = value
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	_ = r.encoder.Encode(line)
}
