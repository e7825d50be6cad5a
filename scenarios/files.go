package scenarios

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"ghostroute/harness/program"
	"ghostroute/harness/report"
)

// Program is how the one command is called from the repository's top.
const Program = "go run ./harness/cmd/ghostroute"

// Fixture is where a file of the fixtures is: in the repository that the working directory is in.
func Fixture(name string) (string, error) {
	top, err := program.Repository()
	if err != nil {
		return "", fmt.Errorf("%w: fixtures/%s is there", err, name)
	}
	return filepath.Join(top, "fixtures", name), nil
}

// ReadFixture reads a file of the fixtures. An error of read's is told with the file's path.
func ReadFixture[T any](name string, read func(io.Reader) (T, error)) (is T, err error) {
	file, err := Fixture(name)
	if err != nil {
		return is, err
	}
	f, err := os.Open(file)
	if err != nil {
		return is, err
	}
	defer f.Close()
	if is, err = read(f); err != nil {
		return is, fmt.Errorf("%s, %w", file, err)
	}
	return is, nil
}

// WriteFixtures writes files of the fixtures, given by their names.
func WriteFixtures(files map[string]string) error {
	for name, text := range files {
		file, err := Fixture(name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// ReadExpected reads fixtures/verdicts.txt.
func ReadExpected() (Verdicts, error) { return ReadFixture("verdicts.txt", ReadVerdicts) }

// WriteExpected writes fixtures/verdicts.txt and the tables made of it.
func (v Verdicts) WriteExpected() error {
	files, err := v.files()
	if err != nil {
		return err
	}
	return WriteFixtures(files)
}

// files are the fixtures that are written from the verdicts.
func (v Verdicts) files() (map[string]string, error) {
	var text strings.Builder
	err := v.Write(&text)
	matrix, err2 := v.table(matrixHead, report.WriteMatrixMarkdown)
	fixes, err3 := v.table(fixesHead, report.WriteFixesMarkdown)
	all := map[string]string{"verdicts.txt": text.String(), "matrix.md": matrix, "fixes.md": fixes}
	return all, errors.Join(err, err2, err3)
}
