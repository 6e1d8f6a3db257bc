package archive

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	backuppb "github.com/pingcap/kvproto/pkg/brpb"
	"github.com/pingcap/tidb/pkg/tablecodec"

	"github.com/sluicedb/sluice/importcore/kv"
	"github.com/sluicedb/sluice/importcore/source"
)

// Column families of TiKV, as File.cf and SSTMeta.cf_name have them.
const (
	CFDefault = "default"
	CFWrite   = "write"
)

// Part is a key range of one physical table and the files that hold its pairs.
type Part struct {
	Table *Table
	// PhysicalID is the id in the range's keys: the table's or a partition's.
	PhysicalID int64
	// Start and End are raw keys of the archive: [Start, End).
	Start, End []byte
	// Default is nil if no value of the range is long, Write never.
	Default, Write *DataFile
	// Sum is over both files, with the keys of the archive.
	Sum kv.Checksum
}

// DataFile is an SST of the archive.
type DataFile struct {
	source.File
	CF string
	// SHA256 is over the bytes as they are stored, encrypted or not.
	SHA256 []byte
	// IV is for decryption.
	IV []byte
}

// Files returns the files that there are, the default one first.
func (p *Part) Files() []*DataFile {
	if p.Default == nil {
		return []*DataFile{p.Write}
	}
	return []*DataFile{p.Default, p.Write}
}

// Size is that of the files in bytes.
func (p *Part) Size() (n int64) {
	for _, f := range p.Files() {
		n += f.Size
	}
	return n
}

// owners finds tables by the ids in their keys.
func (a *Archive) owners() (map[int64]*Table, error) {
	owners := map[int64]*Table{}
	for _, db := range a.Databases {
		for _, t := range db.Tables {
			for _, id := range append(t.PhysicalIDs(), t.Info.ID) {
				if other := owners[id]; other != nil && other != t {
					return nil, fmt.Errorf("the tables %s.%s and %s.%s have the same id %d", other.Database.Name, other.Info.Name.O,
						t.Database.Name, t.Info.Name.O, id)
				}
				owners[id] = t
			}
		}
	}
	return owners, nil
}

// assign gives each table its files.
func (a *Archive) assign(files []*backuppb.File) error {
	owners, err := a.owners()
	if err != nil {
		return damaged(MetaName, err)
	}
	parts := map[string]*Part{}
	for _, f := range files {
		data, err := a.dataFile(f)
		if err != nil {
			return err
		}
		p, err := newPart(f, owners)
		if err != nil {
			return damaged(f.Name, err)
		}
		key := string(f.StartKey) + "\x00" + string(f.EndKey)
		if known := parts[key]; known != nil {
			p = known
		} else {
			parts[key] = p
			p.Table.Parts = append(p.Table.Parts, p)
		}
		if err := p.add(f, data); err != nil {
			return damaged(f.Name, err)
		}
	}
	for _, db := range a.Databases {
		for _, t := range db.Tables {
			if err := t.checkParts(); err != nil {
				return err
			}
		}
	}
	return nil
}

// dataFile checks that a file of the archive is there, and whole as far as its size tells.
func (a *Archive) dataFile(f *backuppb.File) (*DataFile, error) {
	stored, ok := a.files[f.Name]
	if !ok {
		return nil, a.missing(f.Name)
	}
	if f.Size_ != 0 && uint64(stored.Size) != f.Size_ {
		return nil, damaged(stored.Path, fmt.Errorf("it has %d bytes instead of %d", stored.Size, f.Size_))
	}
	d := &DataFile{File: stored, CF: f.Cf, SHA256: f.Sha256, IV: f.CipherIv}
	if d.CF == "" { // archives of the first versions
		for _, cf := range []string{CFDefault, CFWrite} {
			if strings.Contains(f.Name, cf) {
				d.CF = cf
			}
		}
	}
	switch {
	case d.CF != CFDefault && d.CF != CFWrite:
		return nil, damaged(stored.Path, fmt.Errorf("its column family %q is unknown", d.CF))
	case len(d.SHA256) != 32:
		return nil, damaged(stored.Path, errors.New("the archive has no checksum of it"))
	}
	return d, nil
}

// newPart finds out whose keys a file holds.
func newPart(f *backuppb.File, owners map[int64]*Table) (*Part, error) {
	id := tablecodec.DecodeTableID(f.StartKey)
	end := tablecodec.DecodeTableID(f.EndKey)
	switch {
	case id == 0 || bytes.Compare(f.StartKey, f.EndKey) >= 0:
		return nil, fmt.Errorf("its range [%x, %x) is none of a table", f.StartKey, f.EndKey)
	case end != id && !bytes.Equal(f.EndKey, tablecodec.EncodeTablePrefix(id+1)):
		return nil, fmt.Errorf("its range [%x, %x) belongs to several tables", f.StartKey, f.EndKey)
	case owners[id] == nil:
		return nil, fmt.Errorf("it belongs to a table with id %d, which the archive doesn't have", id)
	}
	return &Part{Table: owners[id], PhysicalID: id, Start: f.StartKey, End: f.EndKey}, nil
}

func (p *Part) add(f *backuppb.File, data *DataFile) error {
	place := &p.Write
	if data.CF == CFDefault {
		place = &p.Default
	}
	if *place != nil {
		return fmt.Errorf("%s has the same range", (*place).Path)
	}
	*place = data
	p.Sum.Merge(kv.Checksum{Sum: f.Crc64Xor, Pairs: f.TotalKvs, Bytes: f.TotalBytes})
	return nil
}

// checkParts puts the parts in order and makes sure that no pair is in two of them.
func (t *Table) checkParts() error {
	slices.SortFunc(t.Parts, func(a, b *Part) int { return cmp.Or(bytes.Compare(a.Start, b.Start), bytes.Compare(a.End, b.End)) })
	for i, p := range t.Parts {
		if p.Write == nil {
			return damaged(p.Default.Path, errors.New("the archive has no file of the write column family with it"))
		}
		if i > 0 && bytes.Compare(t.Parts[i-1].End, p.Start) > 0 {
			return damaged(p.Write.Path, fmt.Errorf("its range and that of %s overlap", t.Parts[i-1].Write.Path))
		}
		t.FileSum.Merge(p.Sum)
	}
	if t.HasSum && t.Sum != t.FileSum {
		return damaged(MetaName, fmt.Errorf("the files of table %s.%s hold %d pairs of %d bytes (checksum %d), and the table had %d of %d (%d)",
			t.Database.Name, t.Info.Name.O, t.FileSum.Pairs, t.FileSum.Bytes, t.FileSum.Sum, t.Sum.Pairs, t.Sum.Bytes, t.Sum.Sum))
	}
	return nil
}
