// Package otpgx tests package otpgx on a real PostgreSQL: one program runs through
// database/sql with otdb and through pgxpool with otpgx, and what is recorded of it is
// compared. The server is that of TASKSPAN_TEST_POSTGRES.
package otpgx
