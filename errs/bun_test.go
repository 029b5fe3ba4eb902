package errs_test

import (
	"fmt"
	"testing"

	"github.com/taskspan/taskspan/errs"
)

// bunError is as the driver of bun has it: no field is exported.
type bunError map[byte]string

func (e bunError) Error() string {
	return fmt.Sprintf("%s: %s (SQLSTATE=%s)", e['S'], e['M'], e['C'])
}

func (e bunError) Field(letter byte) string { return e[letter] }

func (e bunError) IntegrityViolation() bool { return e['C'] == "23505" }

func TestBun(t *testing.T) {
	err := bunError{
		'S': "ERROR", 'C': "23505", 'M': "Key (email)=(" + canary + ") already exists",
		's': "public", 't': "users", 'n': "users_email_key", 'c': canary + "@", 'd': "",
	}
	const text = `constraint (23505): duplicate key, constraint "users_email_key", table "public.users"`
	checkClass(t, err, errs.Class{Kind: errs.KindConstraint, Type: "23505", Code: "23505"})
	checkClass(t, bunError{'C': "40001"}, errs.Class{Kind: errs.KindSerialization, Type: "40001", Code: "40001", Retryable: true})
	checkMessages(t, []message{
		{"typed", err, text},
		{"wrapped", fmt.Errorf("load: %w", err), "load: " + text},
		{"formatted", fmt.Errorf("load: %v", err), "load: ERROR: Key (?)=(?) already exists (?)"},
		{"without a code", bunError{'M': canary}, "other (errs_test.bunError)"},
	})
}
