package hunt

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"ghostroute/harness/explore"
	"ghostroute/harness/explore/lab"
	"ghostroute/harness/history"
	"ghostroute/harness/report"
	"ghostroute/harness/room"
	"ghostroute/harness/verdict"
)

// Save writes an outcome into a new folder of that name: plan.txt, verdict.txt, history.jsonl, timeline.html and, where
// there is anything to show, porcupine's page. A folder that is there already holds earlier evidence: then the new one
// gets a number.
func Save(name string, out lab.Outcome, why string) (folder string, err error) {
	if folder, err = newFolder(name); err != nil {
		return "", err
	}
	write := func(name string, f func(io.Writer) error) error { return room.Write(filepath.Join(folder, name), f) }
	text := func(s string) func(io.Writer) error {
		return func(w io.Writer) error { _, err := io.WriteString(w, s); return err }
	}
	errs := []error{
		write("plan.txt", text(out.Plan.Format())),
		write("verdict.txt", text(why+"\n")),
		write("history.jsonl", func(w io.Writer) error { _, err := history.Encode(w, out.Events); return err }),
		write("timeline.html", func(w io.Writer) error {
			return report.Draw(w, "A plan of the explorer", out.Events, verdict.Question{})
		}),
	}
	if busiest := out.Record.Busiest(); busiest != "" {
		errs = append(errs, write("linearizable.html", func(w io.Writer) error {
			return out.Record.Visualise(w, busiest, time.Second)
		}))
	}
	return folder, errors.Join(errs...)
}

// SaveDisagreement saves the outcome of a plan on which model and machine disagreed below dir, unless that is "", and
// adds to the error where. Any other error is given back as it is.
func SaveDisagreement(dir string, out lab.Outcome, err error) error {
	var d *explore.Disagreement
	if !errors.As(err, &d) || dir == "" {
		return err
	}
	folder, failed := Save(filepath.Join(dir, fmt.Sprintf("disagreement-%d", out.Plan.Seed)), out, err.Error())
	if failed != nil {
		return errors.Join(err, failed)
	}
	return fmt.Errorf("%w\nevidence: %s", err, folder)
}

func newFolder(name string) (folder string, err error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return "", err
	}
	folder = name
	for n := 2; ; n++ {
		if err = os.Mkdir(folder, 0o755); !errors.Is(err, fs.ErrExist) {
			return folder, err
		}
		folder = fmt.Sprintf("%s-%d", name, n)
	}
}
