package sqldump

import "strings"

// does is what a statement does, as far as it matters to who reads rows.
type does uint8

const (
	doesNothing does = iota // that would matter: locks, keys, transactions
	doesSet
	doesUse
	doesCreate
	doesDrop
	doesSkip // makes what is no part of tables: triggers, routines, events, users
	doesSetval
)

// verb is a statement other than INSERT.
type verb struct {
	what     does
	kind     Kind
	object   string // what is passed over, or dropped, in words
	db, name string
}

// classify finds out what a statement is. It returns false for one that may change rows, or that isn't known.
func classify(list []token) (verb, bool) {
	if len(list) == 0 {
		return verb{}, true // a comment with nothing in it
	}
	switch strings.ToUpper(list[0].text) {
	case "SET":
		return verb{what: doesSet}, true
	case "USE":
		if len(list) != 2 {
			return verb{}, false
		}
		return verb{what: doesUse, db: list[1].text}, true
	case "LOCK", "UNLOCK", "BEGIN", "COMMIT", "START", "FLUSH", "CHANGE":
		return verb{}, true
	case "ALTER":
		return classifyAlter(list)
	case "CREATE":
		return classifyCreate(list)
	case "DROP":
		return classifyDrop(list)
	case "GRANT", "REVOKE":
		return verb{what: doesSkip, object: "privileges"}, true
	case "DO", "SELECT":
		if len(list) > 3 && (list[1].is("SETVAL") || list[1].is("NEXTVAL")) {
			v := verb{what: doesSetval, kind: SetSequence}
			v.db, v.name = nameIn(list[3:])
			return v, true
		}
	}
	return verb{}, false
}

func classifyAlter(list []token) (verb, bool) {
	if len(list) > 1 && (list[1].is("DATABASE") || list[1].is("SCHEMA")) {
		return verb{}, true // its character set, around triggers
	}
	for i := 1; i+1 < len(list); i++ {
		if (list[i].is("DISABLE") || list[i].is("ENABLE")) && list[i+1].is("KEYS") && i+2 == len(list) {
			return verb{}, true
		}
	}
	return verb{}, false
}

// objects are what CREATE and DROP may name, and the kind of what is restored of it.
var objects = map[string]Kind{
	"DATABASE": CreateDatabase, "SCHEMA": CreateDatabase, "TABLE": CreateTable, "VIEW": CreateView, "SEQUENCE": CreateSequence,
	"TRIGGER": 0, "PROCEDURE": 0, "FUNCTION": 0, "EVENT": 0, "USER": 0, "ROLE": 0,
}

func classifyCreate(list []token) (verb, bool) {
	for i, t := range list[1:] {
		if t.is("(") || t.is("TEMPORARY") {
			break
		}
		kind, known := objects[strings.ToUpper(t.text)]
		if !known || t.kind != tokenWord {
			continue // OR REPLACE, ALGORITHM = ..., DEFINER = ..., SQL SECURITY ...
		}
		v := verb{what: doesCreate, kind: kind}
		if kind == 0 {
			v.what, v.object = doesSkip, strings.ToLower(t.text)
		}
		rest := list[i+2:]
		v.db, v.name = nameIn(rest)
		if kind == CreateTable {
			for _, t := range rest {
				if t.is("SELECT") {
					return verb{}, false
				}
			}
		}
		if kind == CreateDatabase {
			v.db, v.name = v.name, ""
		}
		return v, true
	}
	return verb{}, false
}

func classifyDrop(list []token) (verb, bool) {
	for i, t := range list[1:] {
		if kind, known := objects[strings.ToUpper(t.text)]; known && t.kind == tokenWord {
			v := verb{what: doesDrop, kind: kind, object: strings.ToLower(t.text)}
			v.db, v.name = nameIn(list[i+2:])
			return v, true
		}
		if !t.is("TEMPORARY") {
			break
		}
	}
	return verb{}, false
}

// nameIn reads [IF [NOT] EXISTS] name[.name].
func nameIn(list []token) (db, name string) {
	for len(list) > 0 && (list[0].is("IF") || list[0].is("NOT") || list[0].is("EXISTS")) {
		list = list[1:]
	}
	if len(list) == 0 {
		return "", ""
	}
	if list[0].kind == tokenWord {
		if before, after, dotted := strings.Cut(list[0].text, "."); dotted && after != "" {
			return before, after
		} else if dotted && len(list) > 1 {
			return before, list[1].text
		}
	}
	if len(list) > 2 && list[1].is(".") {
		return list[0].text, list[2].text
	}
	return "", list[0].text
}
