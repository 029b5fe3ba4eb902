package sqltext

import "strings"

// verbs are the words that begin a statement and are names everywhere else, so that they
// are no keywords.
var verbs = func() map[string]keyword {
	m := make(map[string]keyword)
	for k, words := range map[keyword]string{
		kwCommand: "assert associate binlog cancel change clear clone collect disassociate export force get help install list pause " +
			"put remove resignal restart resume signal stop uninstall unset",
		kwPrivilege:       "audit noaudit",
		kwDescribe:        "pivot summarize unpivot watch",
		kwCreate:          "recreate",
		kwRelationCommand: "locking",
	} {
		for _, word := range strings.Fields(words) {
			m[word] = k
		}
	}
	return m
}()

// verb returns what the word src[from:to], which is no keyword, means at the beginning of
// a statement. In SQL Server it may be the name of a procedure.
func (s *scanner) verb(f *frame, from, to int) keyword {
	if s.dialect == SQLServer || s.prev != tokenNone || s.depth > 0 || f.want != wantNothing {
		return kwNone
	}
	if strings.IndexByte("(.=,)", s.at(to)) >= 0 { // a call, a name
		return kwNone
	}
	var low [16]byte
	if to-from > len(low) {
		return kwNone
	}
	for i := range to - from {
		low[i] = lower[s.src[from+i]]
	}
	return verbs[string(low[:to-from])]
}
