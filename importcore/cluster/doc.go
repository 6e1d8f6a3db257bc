// Package cluster is the target cluster as the import core sees it.
package cluster
