package sqltext_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/taskspan/taskspan/internal/sqltext"
)

// mixed is what an application sends in a moment of its life.
var mixed = []struct {
	dialect sqltext.Dialect
	query   string
}{
	{sqltext.PostgreSQL, `SELECT id, email, created_at FROM users WHERE id = $1 AND deleted_at IS NULL`},
	{sqltext.PostgreSQL, `INSERT INTO orders (user_id, total, note) VALUES ($1, $2, 'none') ON CONFLICT (user_id) DO UPDATE SET total = EXCLUDED.total RETURNING id`},
	{sqltext.PostgreSQL, `WITH recent AS (SELECT * FROM orders WHERE created_at > now() - interval '1 day')
SELECT u.name, count(*) FROM users u JOIN recent r ON r.user_id = u.id GROUP BY u.name ORDER BY 2 DESC LIMIT 10`},
	{sqltext.MySQL, "SELECT `o`.`id`, `o`.`total` FROM `orders` AS `o` LEFT JOIN `users` AS `u` ON `u`.`id` = `o`.`user_id` WHERE `o`.`state` IN (1, 2, 3) LIMIT 20"},
	{sqltext.MySQL, `UPDATE jobs SET locked_by = ?, locked_at = NOW() WHERE id = ? AND locked_by IS NULL`},
	{sqltext.SQLite, `DELETE FROM sessions WHERE expires_at < strftime('%s', 'now') AND user_id = ?1`},
	{sqltext.SQLServer, `SELECT TOP 10 [Id], [Name] FROM [dbo].[Customers] WITH (NOLOCK) WHERE [Name] LIKE N'%a%' AND [City] = @p1`},
	{sqltext.Oracle, `SELECT e.ename, d.dname FROM emp e, dept d WHERE e.deptno = d.deptno AND e.sal > :sal`},
}

func BenchmarkParse(b *testing.B) {
	b.Run("mixed", func(b *testing.B) {
		size := 0
		for _, m := range mixed {
			size += len(m.query)
		}
		b.SetBytes(int64(size))
		b.ReportAllocs()
		for b.Loop() {
			for _, m := range mixed {
				sqltext.Parse(m.dialect, m.query)
			}
		}
	})
	for _, size := range []int{100, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("bytes=%d", size), func(b *testing.B) {
			query := sized(size)
			b.SetBytes(int64(min(size, sqltext.MaxScan)))
			b.ReportAllocs()
			for b.Loop() {
				sqltext.Parse(sqltext.PostgreSQL, query)
			}
		})
	}
}

func BenchmarkTruncate(b *testing.B) {
	query := sized(1 << 20)
	b.ReportAllocs()
	for b.Loop() {
		sqltext.Truncate(query)
	}
}

// sized returns a statement of about n bytes.
func sized(n int) string {
	const head, term = "SELECT id, name FROM users WHERE ", "name = 'alice' AND age > 42 OR "
	return (head + strings.Repeat(term, n/len(term)+1))[:n]
}
