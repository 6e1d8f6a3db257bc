package sst

import (
	"encoding/binary"
	"fmt"
)

// recompress copies a table with its data and index blocks compressed as t says,
// or plain. Pebble writes and reads plain tables only here: it has no LZ4, and its
// ZSTD can't read back all that it has written.
func recompress(table []byte, t blockType) ([]byte, error) {
	f, err := parseFooter(table)
	if err != nil {
		return nil, err
	}
	m := &mover{table: table, out: make([]byte, 0, len(table))}
	index, err := m.entries(f.index)
	if err != nil {
		return nil, fmt.Errorf("index: %w", err)
	}
	for i := range index {
		if err := m.move(&index[i], t); err != nil {
			return nil, err
		}
	}
	dataSize := len(m.out)
	meta, err := m.entries(f.meta)
	if err != nil {
		return nil, fmt.Errorf("list of meta blocks: %w", err)
	}
	indexBody, indexType := compress(encodeEntries(index), t)
	for i := range meta {
		if string(meta[i].key) == propertiesBlock {
			err = m.moveProperties(&meta[i], dataSize, len(indexBody), t)
		} else {
			err = m.move(&meta[i], plainBlock)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", meta[i].key, err)
		}
	}
	var to footer
	to.meta = m.append(encodeEntries(meta), plainBlock)
	to.index = m.append(indexBody, indexType)
	return to.append(m.out), nil
}

// mover copies blocks from one table to another.
type mover struct{ table, out []byte }

func (m *mover) append(body []byte, t blockType) (h handle) {
	m.out, h = appendBlock(m.out, body, t)
	return h
}

// content returns the block at a handle, decompressed.
func (m *mover) content(h handle) ([]byte, error) {
	body, t, err := rawBlock(m.table, h)
	if err != nil {
		return nil, err
	}
	if body, err = decompress(body, t); err != nil {
		return nil, fmt.Errorf("block at %d: %w", h.offset, err)
	}
	return body, nil
}

func (m *mover) entries(h handle) ([]entry, error) {
	body, err := m.content(h)
	if err != nil {
		return nil, err
	}
	return blockEntries(body)
}

// move copies the block that an entry leads to and makes the entry lead to the copy.
func (m *mover) move(e *entry, t blockType) error {
	h, n := parseHandle(e.value)
	if n == 0 {
		return errTable
	}
	body, err := m.content(h)
	if err != nil {
		return err
	}
	e.value = m.append(compress(body, t)).append(nil)
	return nil
}

// moveProperties is move for the properties, which say how large the blocks are
// and how they are compressed.
func (m *mover) moveProperties(e *entry, dataSize, indexSize int, t blockType) error {
	h, n := parseHandle(e.value)
	if n == 0 {
		return errTable
	}
	props, err := m.entries(h)
	if err != nil {
		return err
	}
	for i, p := range props {
		switch string(p.key) {
		case "rocksdb.compression":
			props[i].value = []byte(t.name())
		case "rocksdb.data.size":
			props[i].value = binary.AppendUvarint(nil, uint64(dataSize))
		case "rocksdb.index.size":
			props[i].value = binary.AppendUvarint(nil, uint64(indexSize+trailerLen))
		}
	}
	e.value = m.append(encodeEntries(props), plainBlock).append(nil)
	return nil
}
