// Package ingest brings sorted key-value pairs into TiKV.
package ingest
