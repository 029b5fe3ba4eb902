package sqltext

import "strings"

// keyword is a word with a meaning for the summary or for signs. Words with the
// same meaning share a keyword.
type keyword uint8

// The keywords, first the shared ones.
const (
	kwNone     keyword = iota // a word without a meaning, or no word
	kwOperator                // words before which a value stands
	kwConstant
	kwModifier // words between an operation and its target
	kwDetail   // such words that often are names
	kwTemporary
	kwHard            // clauses that end a list of tables, and name no table
	kwSoft            // clauses that end a list of tables, unless they are names
	kwObject          // types of objects that are not relations
	kwRoutine         // types of objects that have statements for a body
	kwNoObject        // types of objects without a name
	kwCommand         // operations without a target
	kwReserved        // such operations whose words SQL Server reserves
	kwBatch           // statements of SQL Server that are not known elsewhere
	kwRelationCommand // operations on relations
	kwBackup
	kwOwner // operations on what belongs to objects and owners
	kwBlock // words after BEGIN, before the first statement of the block
	kwPrivilege
	kwDescribe
	kwExec
	kwInsert
	kwReturning
	kwIf
	kwOutfile
	kwArgument // words among the arguments of a procedure
	kwEncrypt

	kwAbort
	kwAdminister
	kwAll
	kwAlter
	kwAnalyze
	kwApply
	kwArray
	kwAs
	kwAttach
	kwBegin
	kwBody
	kwBulk
	kwBy
	kwCall
	kwCase
	kwComment
	kwCommit
	kwConcurrently
	kwCopy
	kwCreate
	kwCross
	kwDeclare
	kwDefault
	kwDelete
	kwDistinct
	kwDo
	kwDrop
	kwElse
	kwElsif
	kwEnd
	kwException
	kwExists
	kwExplain
	kwFetch
	kwFor
	kwForall
	kwFormat
	kwFrom
	kwGo
	kwGroup
	kwIdentified
	kwImmediate
	kwIn
	kwIndex
	kwInto
	kwIs
	kwJoin
	kwLateral
	kwLoad
	kwLoop
	kwMaterialized
	kwMerge
	kwNot
	kwOn
	kwOnly
	kwOr
	kwOrder
	kwOuter
	kwOutput
	kwPercent
	kwPolicy
	kwPragma
	kwPrepare
	kwRecursive
	kwRefresh
	kwReplace
	kwRollback
	kwRows
	kwRule
	kwSelect
	kwSet
	kwStart
	kwStdin
	kwStraightJoin
	kwSystemTime
	kwTable
	kwThen
	kwTo
	kwTop
	kwTrigger
	kwTruncate
	kwUpdate
	kwUse
	kwUsing
	kwValues
	kwView
	kwWhen
	kwWhile
	kwWith
	kwDistinctFrom // DISTINCT after IS or IS NOT, so that the FROM after it is no clause
	keywordCount
)

// spellings holds the words of each keyword.
var spellings = [keywordCount]string{
	kwOperator:  "and any between div escape ilike interval like match mod regexp rlike similar some xor",
	kwConstant:  "false null true",
	kwModifier:  "delayed fail high_priority ignore low_priority no_write_to_binlog overwrite quick",
	kwDetail:    "extended first freeze full local verbose",
	kwTemporary: "strict temp temporary unlogged",
	kwHard:      "except having intersect union where",
	kwSoft:      "connect limit minus offset option prewhere qualify settings window",
	kwObject: "aggregate cast collation column conversion database domain extension " +
		"language login operator publication role schema sequence server " +
		"statistics subscription synonym tablespace type user",
	kwRoutine:  "event function package proc procedure",
	kwNoObject: "session system transaction",
	kwCommand: "detach discard flush " +
		"listen move notify purge release reset savepoint show unlisten unload unlock xa",
	kwReserved: "checkpoint close deallocate kill open",
	kwBatch:    "dbcc print raiserror reconfigure revert save shutdown throw waitfor",
	kwRelationCommand: "cache check checksum cluster exchange flashback handler lock msck optimize reindex rename repair " +
		"uncache undrop vacuum",
	kwBackup:       "backup restore",
	kwOwner:        "reassign security",
	kwBlock:        "atomic catch distributed tran try",
	kwPrivilege:    "deny grant revoke",
	kwDescribe:     "desc describe",
	kwExec:         "exec execute",
	kwInsert:       "insert upsert",
	kwReturning:    "return returning",
	kwIf:           "if",
	kwOutfile:      "dumpfile outfile",
	kwArgument:     "out recompile",
	kwEncrypt:      "decrypt encrypt",
	kwAbort:        "abort",
	kwAdminister:   "administer",
	kwAll:          "all",
	kwAlter:        "alter",
	kwAnalyze:      "analyse analyze",
	kwApply:        "apply",
	kwArray:        "array",
	kwAs:           "as",
	kwAttach:       "attach",
	kwBegin:        "begin",
	kwBody:         "body",
	kwBulk:         "bulk",
	kwBy:           "by",
	kwCall:         "call",
	kwCase:         "case",
	kwComment:      "comment",
	kwCommit:       "commit",
	kwConcurrently: "concurrently",
	kwCopy:         "copy",
	kwCreate:       "create",
	kwCross:        "cross",
	kwDeclare:      "declare",
	kwDefault:      "default",
	kwDelete:       "delete",
	kwDistinct:     "distinct",
	kwDo:           "do",
	kwDrop:         "drop",
	kwElse:         "else",
	kwElsif:        "elseif elsif",
	kwEnd:          "end",
	kwException:    "exception",
	kwExists:       "exists",
	kwExplain:      "explain",
	kwFetch:        "fetch",
	kwFor:          "for",
	kwForall:       "forall",
	kwFormat:       "format",
	kwFrom:         "from",
	kwGo:           "go",
	kwGroup:        "group",
	kwIdentified:   "identified",
	kwImmediate:    "immediate",
	kwIn:           "in",
	kwIndex:        "index",
	kwInto:         "into",
	kwIs:           "is",
	kwJoin:         "join",
	kwLateral:      "lateral",
	kwLoad:         "import load",
	kwLoop:         "loop repeat",
	kwMaterialized: "materialized",
	kwMerge:        "merge",
	kwNot:          "not",
	kwOn:           "on",
	kwOnly:         "only",
	kwOr:           "or",
	kwOrder:        "order",
	kwOuter:        "outer",
	kwOutput:       "output",
	kwPercent:      "percent",
	kwPolicy:       "policy",
	kwPragma:       "pragma",
	kwPrepare:      "prepare",
	kwRecursive:    "recursive",
	kwRefresh:      "refresh",
	kwReplace:      "replace",
	kwRollback:     "rollback",
	kwRows:         "row rows",
	kwRule:         "rule",
	kwSelect:       "select",
	kwSet:          "set",
	kwStart:        "start",
	kwStdin:        "stdin",
	kwStraightJoin: "straight_join",
	kwSystemTime:   "system_time",
	kwTable:        "table tables",
	kwThen:         "then",
	kwTo:           "to",
	kwTop:          "top",
	kwTrigger:      "trigger",
	kwTruncate:     "truncate",
	kwUpdate:       "update",
	kwUse:          "use",
	kwUsing:        "using",
	kwValues:       "values",
	kwView:         "view",
	kwWhen:         "when",
	kwWhile:        "while",
	kwWith:         "with",
}

// objects holds the words that are types of objects after CREATE, ALTER and DROP, and
// names elsewhere: the keywords hold the others.
var objects = func() map[string]bool {
	m := make(map[string]bool)
	for _, word := range strings.Fields("alert assembly catalog certificate collection columnfamily configuration connection context contract credential " +
		"dictionary dimension directory edition endpoint family integration keyspace library macro method model monitor namespace outline " +
		"parser pipe pool profile queue quota route routine scheme secret service share source stage stream tag task template " +
		"transform warehouse workload wrapper") {
		m[word] = true
	}
	return m
}()

// isObject reports whether word, which is no keyword, is a type of objects.
func isObject(word string) bool {
	var low [16]byte
	if len(word) > len(low) {
		return false
	}
	for i := range len(word) {
		low[i] = lower[word[i]]
	}
	return objects[string(low[:len(word)])]
}

// entry is a slot of the hash table of keywords.
type entry struct {
	word    string // in lower case
	keyword keyword
}

// entries is a hash table of all spellings, open and a quarter full.
var entries = func() (t [1024]entry) {
	for k, words := range spellings {
		for _, word := range strings.Fields(words) {
			i := slot(word)
			for t[i].word != "" {
				i = (i + 1) % uint(len(t))
			}
			t[i] = entry{word, keyword(k)}
		}
	}
	return t
}()

// maxKeyword is the length of the longest keyword.
var maxKeyword = func() (n int) {
	for _, e := range entries {
		n = max(n, len(e.word))
	}
	return n
}()

// slot returns where the search for a word of at least two bytes begins.
func slot(word string) uint {
	n := uint(len(word))
	return (uint(lower[word[0]])*33 + uint(lower[word[1]])*257 + uint(lower[word[n/2]])*129 + uint(lower[word[n-1]])*17 + n) % 1024
}

// keywordOf returns the meaning of a word, in any case.
func keywordOf(word string) keyword {
	if len(word) < 2 || len(word) > maxKeyword {
		return kwNone
	}
	for i := slot(word); ; i++ {
		e := &entries[i%uint(len(entries))]
		if e.word == "" {
			return kwNone
		}
		if len(e.word) == len(word) && equalLower(word, e.word) {
			return e.keyword
		}
	}
}

// equalLower reports whether word, folded, is low, which has its length.
func equalLower(word, low string) bool {
	for i := range len(low) {
		if lower[word[i]] != low[i] {
			return false
		}
	}
	return true
}

// lower folds ASCII letters.
var lower = func() (t [256]byte) {
	for c := range t {
		t[c] = byte(c)
		if c >= 'A' && c <= 'Z' {
			t[c] += 'a' - 'A'
		}
	}
	return t
}()

// beforeValue holds the keywords after which a sign belongs to the number that
// follows it, where after a name it is an operator.
var beforeValue = func() (t [keywordCount]bool) {
	for _, k := range []keyword{
		kwOperator, kwCase, kwWhen, kwHard, kwSoft, kwReturning, kwSelect, kwNot, kwOr, kwIn, kwIs, kwBy, kwOn, kwSet, kwAll,
		kwDistinct, kwDistinctFrom, kwThen, kwElse, kwTo, kwTop, kwFrom, kwUsing, kwInto, kwAs, kwDefault, kwValues,
	} {
		t[k] = true
	}
	return t
}()
