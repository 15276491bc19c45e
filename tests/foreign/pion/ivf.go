package main

import (
	"encoding/binary"
	"errors"
	"os"
)

// clip is an IVF file in memory: encoded frames of any codec.
type clip struct {
	// "VP80", "H264" (Annex B access units) or "OPUS".
	fourcc string
	// Frames per second.
	rate   uint32
	frames [][]byte
}

func readClip(path string) (*clip, error) {
	file, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if len(file) < 32 || string(file[:4]) != "DKIF" {
		return nil, errors.New(path + " is no IVF file")
	}
	found := &clip{fourcc: string(file[8:12]), rate: binary.LittleEndian.Uint32(file[16:20])}
	for at := 32; at+12 <= len(file); {
		size := int(binary.LittleEndian.Uint32(file[at : at+4]))
		at += 12
		if at+size > len(file) {
			return nil, errors.New(path + " ends inside a frame")
		}
		found.frames = append(found.frames, file[at:at+size])
		at += size
	}
	if len(found.frames) == 0 || found.rate == 0 {
		return nil, errors.New(path + " has no frames")
	}
	return found, nil
}
