package main

import (
	"fmt"
	"io"
	"os"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	pingcaplog "github.com/pingcap/log"

	"github.com/sluicedb/sluice/server/config"
)

// redirectLibraries makes the libraries of PD and TiDB, which log to a logger of
// the process that writes to standard output unless told otherwise, log warnings
// and errors to logger. The returned function undoes it.
func redirectLibraries(logger *zap.Logger) (restore func()) {
	level := zap.NewAtomicLevelAt(max(zapcore.WarnLevel, zapcore.LevelOf(logger.Core())))
	core, err := zapcore.NewIncreaseLevelCore(logger.Core(), level)
	if err != nil { // the logger's level is no lower, so it says no more than it may
		core = logger.Core()
	}
	return pingcaplog.ReplaceGlobals(zap.New(core).Named("library"), &pingcaplog.ZapProperties{Core: core, Level: level})
}

// newLogger builds the process's logger. The returned function flushes it and
// closes its file; stderr is used when no file is configured.
func newLogger(cfg config.Log, stderr io.Writer) (*zap.Logger, func() error, error) {
	level, err := zapcore.ParseLevel(cfg.Level)
	if err != nil {
		return nil, nil, fmt.Errorf("log.level: %w", err)
	}
	out, closeOut := zapcore.AddSync(stderr), func() error { return nil }
	if cfg.File != "" {
		file, err := os.OpenFile(cfg.File, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
		if err != nil {
			return nil, nil, fmt.Errorf("log.file: %w", err)
		}
		out, closeOut = file, file.Close
	}
	encoding := zap.NewProductionEncoderConfig()
	encoding.EncodeTime = zapcore.ISO8601TimeEncoder
	encoding.EncodeDuration = zapcore.StringDurationEncoder
	encoder := zapcore.NewJSONEncoder(encoding)
	if cfg.Format == "text" {
		encoder = zapcore.NewConsoleEncoder(encoding)
	}
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(out), level)), closeOut, nil
}
