package encode

import contextutil "github.com/pingcap/tidb/pkg/util/context"

// warnSink collects what TiDB's conversion of one cell warns of. It has no
// lock, as it belongs to one encoder, and is emptied after every conversion.
type warnSink struct{ pending []error }

var _ contextutil.WarnHandler = (*warnSink)(nil)

// AppendWarning implements contextutil.WarnAppender.
func (s *warnSink) AppendWarning(err error) { s.pending = append(s.pending, err) }

// AppendNote implements contextutil.WarnAppender; notes are not counted.
func (s *warnSink) AppendNote(error) {}

// WarningCount implements contextutil.WarnHandler.
func (s *warnSink) WarningCount() int { return len(s.pending) }

// TruncateWarnings implements contextutil.WarnHandler.
func (s *warnSink) TruncateWarnings(start int) []contextutil.SQLWarn {
	if start >= len(s.pending) {
		return nil
	}
	cut := s.pending[start:]
	s.pending = s.pending[:start]
	return asWarns(nil, cut)
}

// CopyWarnings implements contextutil.WarnHandler.
func (s *warnSink) CopyWarnings(dst []contextutil.SQLWarn) []contextutil.SQLWarn {
	return asWarns(dst[:0], s.pending)
}

func asWarns(dst []contextutil.SQLWarn, errs []error) []contextutil.SQLWarn {
	for _, err := range errs {
		dst = append(dst, contextutil.SQLWarn{Level: contextutil.WarnLevelWarning, Err: err})
	}
	return dst
}
