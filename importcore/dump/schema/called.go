package schema

import "github.com/pingcap/tidb/pkg/parser/ast"

// Called returns the name that the statement of a schema file gives to what it makes. Where there are several it is that of the last table, view
// or sequence, or else of the last database. The error is that of a text that can't be parsed, or makes nothing.
func Called(f *File) (name string, err error) {
	nodes, err := f.statements()
	if err != nil {
		return "", err
	}
	database := ""
	for _, node := range nodes {
		switch create := node.(type) {
		case *ast.CreateDatabaseStmt:
			database = create.Name.O
		case *ast.CreateTableStmt:
			name = create.Table.Name.O
		case *ast.CreateViewStmt:
			name = create.ViewName.Name.O
		case *ast.CreateSequenceStmt:
			name = create.Name.Name.O
		}
	}
	if name == "" {
		name = database
	}
	if name == "" {
		return "", f.bad("it makes nothing")
	}
	return name, nil
}
