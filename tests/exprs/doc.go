// Package exprs holds the test in which TiDB's planner judges the expressions
// that importcore/encode/sqlexpr builds: same form, same type, same values and
// errors, for every kind of expression that a schema or a SET clause can hold.
package exprs
