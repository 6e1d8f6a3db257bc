package source

import "time"

// Hasty returns a configuration with which what fails is tried again almost at once.
func Hasty(cfg Config) Config {
	cfg.pause = time.Millisecond
	return cfg
}

// AheadParts is aheadParts.
const AheadParts = aheadParts
