package encode

import (
	"slices"

	"github.com/pingcap/tidb/pkg/sessionctx/variable"
	"github.com/pingcap/tidb/pkg/types"
)

// rowVariables are the user variables of the field list with the values of the
// row under way. They belong to one encoder.
type rowVariables struct {
	names  []string // in lower case
	values []types.Datum
}

var _ variable.UserVarsReader = (*rowVariables)(nil)

// GetUserVarVal implements variable.UserVarsReader.
func (v *rowVariables) GetUserVarVal(name string) (types.Datum, bool) {
	i := slices.Index(v.names, name)
	if i < 0 || v.values[i].IsNull() {
		return types.Datum{}, false
	}
	return v.values[i], true
}

// GetUserVarType implements variable.UserVarsReader: all are strings, as
// variables without a type are.
func (v *rowVariables) GetUserVarType(string) (*types.FieldType, bool) { return nil, false }

// Clone implements variable.UserVarsReader.
func (v *rowVariables) Clone() variable.UserVarsReader {
	return &rowVariables{names: v.names, values: slices.Clone(v.values)}
}
