package filetype

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"image"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"
)

func zipped(name string) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, _ := w.Create(name)
	f.Write([]byte("content"))
	w.Close()
	return b.Bytes()
}

func TestDescribe(t *testing.T) {
	var gz, pn, jp bytes.Buffer
	w := gzip.NewWriter(&gz)
	w.Write([]byte("x"))
	w.Close()
	png.Encode(&pn, image.NewGray(image.Rect(0, 0, 3, 3)))
	jpeg.Encode(&jp, image.NewGray(image.Rect(0, 0, 3, 3)), nil)
	safetensors := append(binary.LittleEndian.AppendUint64(nil, 16), `{"a":{}}        `...)
	tar := make([]byte, 512)
	copy(tar, "data/batch.bin")
	copy(tar[257:], "ustar\x0000")
	for _, c := range []struct {
		head, want string
	}{
		{"", "an empty file"},
		{"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n", "a Git LFS pointer"},
		{string(zipped("resnet/data.pkl")), "torch.save"},
		{string(zipped("archive/data.pkl")), "torch.save"},
		{string(zipped("arr_0.npy")), "(.npz)"},
		{string(zipped("[Content_Types].xml")), ".xlsx"},
		{string(zipped("readme.txt")), "a zip archive"},
		{"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", "a Python pickle"},
		{"\x80\x04\x95\x0a\x00\x00\x00\x00\x00\x00\x00}", "a Python pickle"},
		{"\x80\x02}q\x00", "a Python pickle"},
		{"<!DOCTYPE html>\n<html>", "an HTML page"},
		{"\n  <HTML lang=en>", "an HTML page"},
		{"\xef\xbb\xbf<!doctype html>", "an HTML page"},
		{"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code>", "an XML document"},
		{`{"metadata": {}, "weight_map": {}}`, "JSON text"},
		{"[1]", "JSON text"},
		{gz.String(), "a gzip archive"},
		{string(tar), "a tar archive"},
		{"BZh91AY&SY\x00", "a bzip2 archive"},
		{"\x93NUMPY\x01\x00v\x00", "a numpy array"},
		{"\x89HDF\r\n\x1a\n", "an HDF5 file"},
		{pn.String(), "a PNG image"},
		{jp.String(), "a JPEG image"},
		{"RIFF\x24\x00\x00\x00WEBPVP8 ", "a WebP image"},
		{"\x00\x00\x00\x18ftypheic\x00", "a HEIC image"},
		{"\xff\xfe1\x00,\x00", "UTF-16"},
		{string(safetensors), "a safetensors file"},
		{"404: Not Found\n", `text that begins "404: Not Found"`},
		{"BMI,age,class\n", `text that begins "BMI,age,class"`},
		{strings.Repeat("a", 511) + "é"[:1], "text that begins"},
		{"\x00\x01\x02\x03", ""},
	} {
		head := []byte(c.head)[:min(len(c.head), Head)]
		got := Describe(head)
		if text := strings.HasPrefix(c.want, "text that"); text && got != "" {
			t.Errorf("%.20q is %q to a decoder of text", c.head, got)
		} else if text {
			got = Binary(head)
		} else if b := Binary(head); b != got {
			t.Errorf("%.20q is %q and, to a decoder of binary files, %q", c.head, got, b)
		}
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%.20q is %q, want %q", c.head, got, c.want)
		}
	}
}

func FuzzDescribe(f *testing.F) {
	f.Add([]byte("PK\x03\x04"))
	f.Add(zipped("a/data.pkl"))
	f.Add([]byte("\x80\x02}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s := Binary(b); len(s) > 300 {
			t.Fatalf("%d characters", len(s))
		}
		Torch(b)
	})
}
