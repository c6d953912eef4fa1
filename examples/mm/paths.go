package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

// callerDir is the directory that relative paths on the command line mean. "go run -C
// DIR ." starts the program in DIR but leaves PWD in the environment as it was: it
// still names the directory of the caller. So PWD counts if it names another
// directory than the current one and the current one is that of this program's
// source; in any other case the current directory counts. told is false if the program
// stands in its source directory and PWD says nothing.
func callerDir() (dir string, told bool, err error) {
	wd, err := os.Getwd()
	if err != nil {
		return "", false, err
	}
	if !isSource(wd) {
		return wd, true, nil
	}
	pwd := os.Getenv("PWD")
	if info, err := os.Stat(pwd); !filepath.IsAbs(pwd) || err != nil || !info.IsDir() {
		return wd, false, nil
	}
	return pwd, true, nil
}

// isSource reports whether dir holds the module of this program.
func isSource(dir string) bool {
	text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	return err == nil && bytes.HasPrefix(text, []byte("module github.com/mettleml/mettle/examples/mm\n"))
}

// fromCaller resolves a path that the program writes to.
func fromCaller(path string) (string, error) {
	if path == "" || filepath.IsAbs(path) {
		return path, nil
	}
	dir, _, err := callerDir()
	return filepath.Join(dir, path), err
}

// existing resolves a path of a file that the program reads. Its error names the
// directory in which the file was sought.
func existing(flag, path string) (string, error) {
	full, err := fromCaller(path)
	if err != nil {
		return "", err
	}
	if _, err = os.Stat(full); err == nil {
		return full, nil
	}
	if filepath.IsAbs(path) || !os.IsNotExist(err) {
		return "", fmt.Errorf("%s: %w", flag, err)
	}
	dir, told, _ := callerDir()
	if !told {
		return "", fmt.Errorf("%s: there is no %s in %s; \"go run -C\" changes the directory, and the variable PWD does not say where it was called: give an absolute path", flag, path, dir)
	}
	return "", fmt.Errorf("%s: there is no %s in %s: give an absolute path, or one from there", flag, path, dir)
}
