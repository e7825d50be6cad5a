package verdict

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"

	"ghostroute/harness/history"
)

// Saved is a trial in a file: a first line with the question, what it came to and how many events follow, and then
// the history. The history alone is such a file too; its question is then the reader's to give.
type Saved struct {
	Question *Question `json:"question,omitempty"` // nil where the file has none
	Label    string    `json:"verdict,omitempty"`  // what it came to when it was saved, see Verdict.Label
	Failed   string    `json:"failed,omitempty"`   // why the trial was not carried out: then nothing can be judged
	N        int       `json:"events"`             // how many events follow

	Events []history.Event `json:"-"`
}

// Judge judges the history again.
func (s Saved) Judge() Verdict {
	if s.Failed != "" {
		return unknown("the trial was not carried out: %s", s.Failed)
	}
	return Judge(s.Events, *s.Question)
}

// Again writes the trial, reads that back and judges it. A verdict that is not v to the letter is an error: what is
// saved is judged again exactly as it was.
func (s Saved) Again(v Verdict) error {
	var file bytes.Buffer
	if err := s.Write(&file); err != nil {
		return err
	}
	read, err := ReadSaved(&file)
	if err != nil {
		return fmt.Errorf("what was saved cannot be read: %w", err)
	}
	if again := read.Judge(); !reflect.DeepEqual(again, v) {
		return fmt.Errorf("judged again from its file the trial is %v, and was %v", again, v)
	}
	return nil
}

// Write writes the file.
func (s Saved) Write(w io.Writer) error {
	s.N = len(s.Events)
	if err := json.NewEncoder(w).Encode(s); err != nil {
		return err
	}
	_, err := history.Encode(w, s.Events)
	return err
}

// ReadSaved reads what Write or history.Encode wrote. A file that was cut short is an error.
func ReadSaved(r io.Reader) (s Saved, err error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return s, err
	}
	if s.Events, err = history.Decode(bytes.NewReader(text)); err != nil {
		return s, err
	}
	if len(s.Events) == 0 {
		return s, fmt.Errorf("there is no event in it")
	}
	first, _, _ := bytes.Cut(text, []byte("\n"))
	if err := json.Unmarshal(first, &s); err != nil {
		return s, fmt.Errorf("line 1: %w", err)
	}
	if s.Question == nil {
		return s, nil
	}
	if s.Events = s.Events[1:]; len(s.Events) != s.N {
		return s, fmt.Errorf("it was cut short: %d events are left of %d", len(s.Events), s.N)
	}
	return s, nil
}
