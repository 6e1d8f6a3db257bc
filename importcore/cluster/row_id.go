package cluster

import "context"

// NextRowID returns the smallest id that none of the allocators (row IDs,
// AUTO_INCREMENT, AUTO_RANDOM) has given out yet, at least 1. The rows of an import
// are numbered from it, so that AUTO_INCREMENT = n of the table's definition is
// honoured.
func (c *Cluster) NextRowID(ctx context.Context, db, table string) (int64, error) {
	next, err := c.nextIDs(ctx, quoteTable(db, table))
	if err != nil {
		return 0, err
	}
	id := int64(1)
	for _, kind := range []string{allocRowID, allocAutoIncrement, allocAutoRandom} {
		id = max(id, int64(next[kind]))
	}
	return id, nil
}
