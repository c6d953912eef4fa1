package weights

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/mettleml/mettle/nn/models"
	"github.com/mettleml/mettle/zoo"
)

// IsAddress reports whether -victim names a server.
func IsAddress(victim string) bool {
	return strings.HasPrefix(victim, "http://") || strings.HasPrefix(victim, "https://")
}

// Open opens the file of a classifier that -victim names, as a victim for samples of the
// given shape; nil is the shape that the file says. It returns the names of its classes too,
// nil if the file has none.
func Open(path string, shape []int) (v zoo.Scorer, classes []string, err error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && (strings.Contains(path, ":") || strings.Contains(path, "/v2/models/")) {
		return nil, nil, fmt.Errorf("-victim %s: no such file; if it is the address of a server, http:// or https:// is missing", path)
	}
	net, info, err := models.Open(path)
	if err != nil {
		return nil, nil, err
	}
	if shape == nil {
		if shape, err = info.Preprocess.InputShape(info.Spec().Input); err != nil {
			return nil, nil, fmt.Errorf("%s: %w, by -shape", path, err)
		}
	}
	m, err := Victim(net, info, shape)
	if err != nil {
		return nil, nil, err
	}
	return m, info.ClassNames, nil
}

// ParseShape reads so many positive numbers, separated by commas, of -shape; "" is nil. An
// error says what is due.
func ParseShape(s string, dims int, due string) (shape []int, err error) {
	if s == "" {
		return nil, nil
	}
	for part := range strings.SplitSeq(s, ",") {
		d, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || d < 1 {
			return nil, fmt.Errorf("-shape %s: %s", s, due)
		}
		shape = append(shape, d)
	}
	if len(shape) != dims {
		return nil, fmt.Errorf("-shape %s: %s", s, due)
	}
	return shape, nil
}
