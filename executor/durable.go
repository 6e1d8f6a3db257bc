package executor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/sluicedb/sluice/sqlext"
)

// The durable form of a Spec is JSON in the job's row, so that any Sluice can
// run the job. Everything in it goes by the fields' names, which therefore are
// part of the format; a field that is added has to mean with its zero value what
// was done before. Credentials have no place in a row: they are left out, and
// Spec.Keeper says who has them.

// durableVersion is raised when a Spec's form changes so that an older Sluice
// would misread it.
const (
	durableVersion = 1
	// restoreVersion is that of restores.
	restoreVersion = 2
	// dumpVersion is that of jobs whose files are SQL dumps, which a Sluice that doesn't look at Spec.Format would read as CSV.
	dumpVersion = 3
	// rulesVersion is that of restores with FILES, which an older Sluice would not heed.
	rulesVersion = 4
	// systemVersion is that of restores with system tables, which an older Sluice would leave out.
	systemVersion = 5
	// compactVersion is that of restores that are compacted at the end, which an older Sluice would not do.
	compactVersion = 6
)

// errNoTask says that a job can't be run from its row.
var errNoTask = errors.New("its row does not hold what another Sluice needs to run it")

// durableSpec replaces the fields that have no form in JSON of their own.
type durableSpec struct {
	Version int
	Spec
	Assignments []durableAssignment
	TimeZone    string
}

type durableAssignment struct{ Column, Text string }

// encodeSpec returns the durable form.
func encodeSpec(s *Spec) (string, error) {
	d := durableSpec{Version: durableVersion, Spec: s.withoutCredentials()}
	if s.Format == sqlext.FormatSQL {
		d.Version = dumpVersion
	}
	d.Spec.Assignments, d.Spec.TimeZone = nil, nil
	if s.Restore != nil {
		d.Version = restoreVersion
		if len(s.Restore.Options.Files) > 0 {
			d.Version = rulesVersion
		}
		if wantsSystemTables(&s.Restore.Options, &s.Options) {
			d.Version = systemVersion
		}
		if s.Restore.Options.Compact {
			d.Version = compactVersion
		}
	}
	for _, a := range s.Assignments {
		d.Assignments = append(d.Assignments, durableAssignment{Column: a.Column, Text: a.Text})
	}
	if s.TimeZone != nil {
		d.TimeZone = s.TimeZone.String()
	}
	text, err := json.Marshal(d)
	return string(text), err
}

// decodeSpec is the inverse of encodeSpec.
func decodeSpec(text string) (*Spec, error) {
	if text == "" {
		return nil, errNoTask
	}
	var d durableSpec
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.UseNumber()
	if err := decoder.Decode(&d); err != nil {
		return nil, fmt.Errorf("the job's row: %w", err)
	}
	restores := []int{restoreVersion, rulesVersion, systemVersion, compactVersion}
	if !slices.Contains(restores, d.Version) && d.Version != durableVersion && d.Version != dumpVersion || slices.Contains(restores, d.Version) != (d.Restore != nil) {
		return nil, fmt.Errorf("%w: version %d", errNoTask, d.Version)
	}
	s := d.Spec
	for _, a := range d.Assignments {
		expr, err := sqlext.ParseExpr(a.Text)
		if err != nil {
			return nil, fmt.Errorf("the job's row: assignment to %s: %w", a.Column, err)
		}
		s.Assignments = append(s.Assignments, sqlext.Assignment{Column: a.Column, Expr: expr, Text: a.Text})
	}
	if d.TimeZone != "" {
		zone, err := parseTimeZone(d.TimeZone, "")
		if err != nil {
			return nil, err
		}
		s.TimeZone = zone
	}
	for name, value := range s.Options.Specified {
		if n, ok := value.(json.Number); ok {
			whole, err := n.Int64()
			if err != nil {
				return nil, fmt.Errorf("the job's row: option %s: %w", name, err)
			}
			s.Options.Specified[name] = whole
		}
	}
	return &s, nil
}

// settle replaces a new job's Spec by the one that its row will give, so that it
// makes no difference who runs it. Only the credentials stay, whose keeper is named.
func settle(s *Spec, keeper Keeper) (durable string, err error) {
	location := s.Location
	if sqlext.StripCredentials(location) != location {
		s.Keeper = keeper
	}
	durable, err = encodeSpec(s)
	if err != nil {
		return "", err
	}
	again, err := decodeSpec(durable)
	if err != nil {
		return "", err
	}
	*s = *again
	s.Location = location
	return durable, nil
}
