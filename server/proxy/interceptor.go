package proxy

import (
	"context"

	"github.com/sluicedb/sluice/executor"
)

// Interceptor decides which statements are ours. It is used by many sessions at
// once.
type Interceptor interface {
	// MaybeOurs reports whether text may hold a statement of ours. It is called
	// for every COM_QUERY and COM_STMT_PREPARE, so it must be cheap and must not
	// allocate; it must not keep or change text. Of texts longer than
	// inspectLimit bytes it sees the start only.
	MaybeOurs(text []byte) bool
	// Recognise is called for a text that MaybeOurs accepted, after the session
	// was asked how to read it. It returns nil, nil when the text is not ours,
	// and an error when it is ours but not valid.
	Recognise(text []byte, session TextMode) (Statement, error)
}

// TextMode is how the client's session wants a statement's text to be read.
type TextMode struct {
	SQLMode string // @@sql_mode
	Charset string // @@character_set_client
}

// Statement is one of ours, recognised and valid, good for one run.
type Statement interface {
	// Kind is a short constant name for logs and metrics, such as "import_into".
	Kind() string
	// Run executes the statement. The context is cancelled when the client or
	// its backend connection goes away and at shutdown; Run must return then,
	// after it has put the cluster right.
	Run(ctx context.Context, session executor.Session) (*executor.Result, error)
}

// nothingIsOurs is the Interceptor of a plain proxy.
type nothingIsOurs struct{}

func (nothingIsOurs) MaybeOurs([]byte) bool                         { return false }
func (nothingIsOurs) Recognise([]byte, TextMode) (Statement, error) { return nil, nil }
