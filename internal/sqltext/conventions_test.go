package sqltext_test

import (
	"testing"

	"github.com/taskspan/taskspan/internal/sqltext"
)

// The inputs of this table and what is expected of them are those of the test
// cases of OpenTelemetry's .NET instrumentation, Apache License 2.0, Copyright The
// OpenTelemetry Authors, which its languages share. Two differ: there, 99+100
// becomes ??, losing the operator.
var conventions = []struct {
	name    string
	query   string
	text    string
	summary string
}{
	{"integers", "SELECT 12, -12, +12", "SELECT ?, ?, ?", "SELECT"},
	{"decimals", "SELECT 12.34, -12.34, +12.34, .01, -.01", "SELECT ?, ?, ?, ?, ?", "SELECT"},
	{"exponents", "SELECT 12.34e56, -12.34e56, +12.34e56", "SELECT ?, ?, ?", "SELECT"},
	{"negative exponents", "SELECT 12.34e-56, -12.34e-56, +12.34e-56", "SELECT ?, ?, ?", "SELECT"},
	{"sum of numbers", "SELECT 99+100", "SELECT ?+?", "SELECT"},
	{"hexadecimal", "SELECT 0xDEADBEEF, 0XdeadBEEF", "SELECT ?, ?", "SELECT"},
	{"string", "SELECT 'hello'", "SELECT ?", "SELECT"},
	{"quote in a string", "SELECT 'My name''s not important'", "SELECT ?", "SELECT"},
	{"newline in a string", "SELECT 'My name is \n not important'", "SELECT ?", "SELECT"},
	{"digits in names", "SELECT c3po, r2d2 FROM covid19 WHERE n1h1=1234",
		"SELECT c3po, r2d2 FROM covid19 WHERE n1h1=?", "SELECT covid19"},
	{"dots in names", "SELECT a FROM dbo.Table JOIN dbo.AnotherTable",
		"SELECT a FROM dbo.Table JOIN dbo.AnotherTable", "SELECT dbo.Table dbo.AnotherTable"},
	{"insert", "INSERT INTO X VALUES(1, 23456, 123.456, 99+100)",
		"INSERT INTO X VALUES(?, ?, ?, ?+?)", "INSERT X"},
	{"guid", "SELECT { guid '01234567-89ab-cdef-0123-456789abcdef' }", "SELECT { guid ? }", "SELECT"},
	{"list", "SELECT * FROM table WHERE value IN (123, 456, 'abc')",
		"SELECT * FROM table WHERE value IN (?)", "SELECT table"},
	{"comments", "SELECT column -- end of line comment\nFROM /* block \n comment */ table",
		"SELECT column \nFROM  table", "SELECT table"},
	{"insert from select",
		"INSERT INTO shipping_details\n(order_id,\naddress)\nSELECT order_id,\naddress\nFROM   orders\nWHERE  order_id = 1",
		"INSERT INTO shipping_details\n(order_id,\naddress)\nSELECT order_id,\naddress\nFROM   orders\nWHERE  order_id = ?",
		"INSERT shipping_details SELECT orders"},
	{"subquery",
		"SELECT order_date\nFROM   (SELECT *\nFROM   orders o\nJOIN customers c\nON o.customer_id = c.customer_id)",
		"SELECT order_date\nFROM   (SELECT *\nFROM   orders o\nJOIN customers c\nON o.customer_id = c.customer_id)",
		"SELECT SELECT orders customers"},
	{"subquery in mixed case",
		"SELEcT order_date\nFROM   (sELECT *\nFROM   orders o\nJOIN customers c\nON o.customer_id = c.customer_id)",
		"SELEcT order_date\nFROM   (sELECT *\nFROM   orders o\nJOIN customers c\nON o.customer_id = c.customer_id)",
		"SELEcT sELECT orders customers"},
	{"mixed case", "SELEcT order_date\nFROM ORders", "SELEcT order_date\nFROM ORders", "SELEcT ORders"},
	{"cross join", "SELECT * FROM Orders o CROSS JOIN OrderDetails od",
		"SELECT * FROM Orders o CROSS JOIN OrderDetails od", "SELECT Orders OrderDetails"},
	{"comma join", "SELECT * FROM Orders o, OrderDetails od",
		"SELECT * FROM Orders o, OrderDetails od", "SELECT Orders OrderDetails"},
	{"create table", "CREATE  TABLE MyTable (\n    ID NOT NULL IDENTITY(1,1) PRIMARY KEY\n)",
		"CREATE  TABLE MyTable (\n    ID NOT NULL IDENTITY(?,?) PRIMARY KEY\n)", "CREATE TABLE MyTable"},
	{"alter table", "ALTER  TABLE MyTable ADD Name varchar(255)",
		"ALTER  TABLE MyTable ADD Name varchar(?)", "ALTER TABLE MyTable"},
	{"drop table", "DROP  TABLE MyTable", "DROP  TABLE MyTable", "DROP TABLE MyTable"},
}

func TestParseConventions(t *testing.T) {
	dialects := []sqltext.Dialect{
		sqltext.Default, sqltext.PostgreSQL, sqltext.MySQL, sqltext.SQLite, sqltext.SQLServer, sqltext.Oracle,
	}
	for _, c := range conventions {
		for _, d := range dialects {
			r := sqltext.Parse(d, c.query)
			if r.Text != c.text || r.Summary != c.summary {
				t.Errorf("%v, %s: got %q, %q; want %q, %q", d, c.name, r.Text, r.Summary, c.text, c.summary)
			}
		}
	}
}
