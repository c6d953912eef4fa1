package main

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
)

// digest is a short hash of what is written to it.
func digest(write func(w io.Writer) error) (string, error) {
	h := sha256.New()
	if err := write(h); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)[:8]), nil
}

// fileDigest is the digest of a file.
func fileDigest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return digest(func(w io.Writer) error {
		_, err := io.Copy(w, f)
		return err
	})
}
