// Package oracle holds the tests in which TiDB judges the encoder: values are
// written by SQL INSERTs to a cluster, the table's raw key-value pairs are read
// back from its stores, and the encoder must give the same pairs for the same
// texts, byte for byte; what TiDB refuses must be refused with the same code.
//
// judge_test.go has the procedure, types_test.go the types with their edge
// values, shapes_test.go the tables that are special as a whole.
package oracle
