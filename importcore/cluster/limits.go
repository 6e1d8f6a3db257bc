package cluster

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"go.uber.org/zap"
)

// RegionLimits are the sizes at which TiKV splits a region.
type RegionLimits struct {
	SplitSize int64 // bytes of keys and values
	SplitKeys int64
}

// What TiKV before 8.4 uses, taken when no store says anything else, and the
// most that is believed: a larger SST would only be split up again.
var (
	defaultLimits = RegionLimits{SplitSize: 96 << 20, SplitKeys: 960_000}
	maxLimits     = RegionLimits{SplitSize: 1 << 30, SplitKeys: 16_000_000}
)

// RegionLimits returns the smallest limits that any row store is configured
// with. Stores that can't be asked are skipped.
func (c *Cluster) RegionLimits(ctx context.Context) (RegionLimits, error) {
	stores, err := c.Stores(ctx)
	if err != nil {
		return RegionLimits{}, err
	}
	out, asked := maxLimits, false
	for _, s := range tikvStores(stores) {
		limits, err := c.storeLimits(ctx, s)
		if ctx.Err() != nil {
			return RegionLimits{}, context.Cause(ctx)
		}
		if err != nil {
			c.log.Warn("cluster: region limits of a store are not to be had", zap.Uint64("store", s.ID), zap.Error(err))
			continue
		}
		asked = true
		out.SplitSize = min(out.SplitSize, limits.SplitSize)
		out.SplitKeys = min(out.SplitKeys, limits.SplitKeys)
	}
	if !asked {
		return defaultLimits, nil
	}
	return out, nil
}

func (c *Cluster) storeLimits(ctx context.Context, s Store) (RegionLimits, error) {
	if s.StatusAddress == "" {
		return RegionLimits{}, fmt.Errorf("store %d has no status address", s.ID)
	}
	var config struct {
		Coprocessor struct {
			SplitSize string `json:"region-split-size"`
			SplitKeys int64  `json:"region-split-keys"`
		} `json:"coprocessor"`
	}
	if err := c.getJSON(ctx, s.StatusAddress, "/config", &config); err != nil {
		return RegionLimits{}, err
	}
	size, err := parseSize(config.Coprocessor.SplitSize)
	if err != nil {
		return RegionLimits{}, fmt.Errorf("region-split-size of store %d: %w", s.ID, err)
	}
	keys := config.Coprocessor.SplitKeys
	if keys <= 0 {
		keys = max(size>>20, 1) * 10_000
	}
	return RegionLimits{SplitSize: size, SplitKeys: keys}, nil
}

// parseSize reads a size as TiKV writes it: "256MiB". TiKV means powers of two
// by all its units, also by "MB".
func parseSize(text string) (int64, error) {
	number := strings.TrimRight(text, "KMGTPiB")
	unit := strings.TrimSuffix(strings.TrimSuffix(text[len(number):], "B"), "i")
	shift := strings.Index("KMGTP", unit)
	if unit == "" {
		shift = -1
	} else if shift < 0 || len(unit) != 1 {
		return 0, fmt.Errorf("%q is no size", text)
	}
	n, err := strconv.ParseFloat(number, 64)
	size := n * float64(int64(1)<<(10*(shift+1)))
	if err != nil || !(size >= 1) || size > 1<<60 {
		return 0, fmt.Errorf("%q is no size", text)
	}
	return int64(size), nil
}
